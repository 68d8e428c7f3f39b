// Many tensors as pieces of work of even size.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "parallel.h"

namespace ct {

/// Elements of a piece of work: what a sum over pieces is made of does not depend on the number of threads.
constexpr int64_t piece_size = 1 << 15;

/// A range of elements of one of many tensors.
struct Piece {
  size_t tensor;
  int64_t first, count;
};

inline std::vector<Piece> pieces(const std::vector<at::Tensor> &tensors) {
  std::vector<Piece> all;
  for (size_t i = 0; i < tensors.size(); ++i)
    for (int64_t first = 0; first < tensors[i].numel(); first += piece_size)
      all.push_back({i, first, std::min(piece_size, tensors[i].numel() - first)});
  return all;
}

/// Calls `body(piece number, piece)` for each, several small ones to a thread at a time.
template <typename Body>
void for_pieces(const std::vector<Piece> &all, Body &&body) {
  int64_t elements = 0;
  for (const auto &piece : all) elements += piece.count;
  const auto count = static_cast<int64_t>(all.size());
  const int64_t grain = elements == 0 ? 1 : std::max<int64_t>(1, piece_size * count / elements);
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(static_cast<size_t>(i), all[static_cast<size_t>(i)]);
  });
}

}  // namespace ct
