#include "step_rules.h"

#include <cmath>

#include "clones.h"
#include "vectors.h"

namespace {

using ct::Step;
using namespace ct::vectors;

CT_CLONES void adamw(float *p, const float *g, float *m, float *v, const Step &s, int64_t n) {
  for (int64_t i = 0; i < n; i += width) {
    Floats parameter, gradient, mean, square;
    load_some(p + i, n - i, parameter);
    load_some(g + i, n - i, gradient);
    load_some(m + i, n - i, mean);
    load_some(v + i, n - i, square);
    gradient *= s.gradient_scale;
    mean += (gradient - mean) * s.new1;
    square = square * s.beta2 + gradient * gradient * s.new2;
    parameter = parameter * s.keep - s.rate * mean / (__builtin_elementwise_sqrt(square) / s.root + s.eps);
    store_some(p + i, n - i, parameter);
    store_some(m + i, n - i, mean);
    store_some(v + i, n - i, square);
  }
}

CT_CLONES void lion(float *p, const float *g, float *m, const Step &s, int64_t n) {
  const Floats zero = {}, one = zero + 1.0f;
  for (int64_t i = 0; i < n; i += width) {
    Floats parameter, gradient, mean;
    load_some(p + i, n - i, parameter);
    load_some(g + i, n - i, gradient);
    load_some(m + i, n - i, mean);
    gradient *= s.gradient_scale;
    const Floats way = mean * s.beta1 + gradient * s.new1;
    const Floats sign = way > 0.0f ? one : (way < 0.0f ? -one : zero);
    parameter = parameter * s.keep - s.rate * sign;
    mean = mean * s.beta2 + gradient * s.new2;
    store_some(p + i, n - i, parameter);
    store_some(m + i, n - i, mean);
  }
}

CT_CLONES void sgd(float *p, const float *g, float *b, const Step &s, int64_t n) {
  for (int64_t i = 0; i < n; i += width) {
    Floats parameter, gradient, momentum;
    load_some(p + i, n - i, parameter);
    load_some(g + i, n - i, gradient);
    load_some(b + i, n - i, momentum);
    gradient = gradient * s.gradient_scale + parameter * s.decay;
    momentum = s.is_first ? gradient : momentum * s.beta1 + gradient * s.taken;
    parameter -= (s.nesterov ? gradient + momentum * s.beta1 : momentum) * s.rate;
    store_some(p + i, n - i, parameter);
    store_some(b + i, n - i, momentum);
  }
}

CT_CLONES void move(float *p, const float *g, const Step &s, int64_t n) {
  for (int64_t i = 0; i < n; i += width) {
    Floats parameter, gradient;
    load_some(p + i, n - i, parameter);
    load_some(g + i, n - i, gradient);
    parameter = parameter * s.keep - (gradient * s.gradient_scale) * s.rate;
    store_some(p + i, n - i, parameter);
  }
}

}  // namespace

/// Without momentum SGD is a move whose decay is taken off at once: p − lr·(g + wd·p) = p·(1 − lr·wd) − lr·g.
ct::Step::Step(const ct_step_settings &given, double learning_rate, double weight_decay, bool has_first)
    : rule(given.rule == CT_STEP_SGD && !has_first ? CT_STEP_MOVE : given.rule), nesterov(given.nesterov), is_first(given.step == 1),
      beta1(static_cast<float>(given.beta1)), new1(static_cast<float>(1 - given.beta1)),
      beta2(static_cast<float>(given.beta2)), new2(static_cast<float>(1 - given.beta2)), eps(static_cast<float>(given.eps)),
      keep(static_cast<float>(1 - learning_rate * weight_decay)), rate(static_cast<float>(learning_rate)), root(1),
      decay(static_cast<float>(weight_decay)), taken(static_cast<float>(1 - given.dampening)),
      gradient_scale(static_cast<float>(given.gradient_scale)) {
  if (rule != CT_STEP_ADAMW) return;
  rate = static_cast<float>(learning_rate / (1 - std::pow(given.beta1, given.step)));
  root = static_cast<float>(std::sqrt(1 - std::pow(given.beta2, given.step)));
}

void ct::Step::run(float *p, const float *g, float *m, float *v, int64_t n) const {
  switch (rule) {
    case CT_STEP_ADAMW: return adamw(p, g, m, v, *this, n);
    case CT_STEP_LION: return lion(p, g, m, *this, n);
    case CT_STEP_SGD: return sgd(p, g, m, *this, n);
    case CT_STEP_MOVE: return move(p, g, *this, n);
  }
}

void ct::Step::run(at::Tensor p, const at::Tensor &gradient, at::Tensor m, at::Tensor v) const {
  const auto g = gradient * gradient_scale;
  switch (rule) {
    case CT_STEP_ADAMW:
      m.lerp_(g, new1);
      v.mul_(beta2).addcmul_(g, g, new2);
      p.mul_(keep).addcdiv_(m, v.sqrt().div_(root).add_(eps), -rate);
      return;
    case CT_STEP_LION:
      p.mul_(keep).sub_(m.mul(beta1).add_(g, new1).sign_(), rate);
      m.mul_(beta2).add_(g, new2);
      return;
    case CT_STEP_SGD:
      g.add_(p, decay);
      if (is_first) m.copy_(g);
      else m.mul_(beta1).add_(g, taken);
      p.sub_(nesterov ? g.add_(m, beta1) : m, rate);
      return;
    case CT_STEP_MOVE: p.mul_(keep).sub_(g, rate); return;
  }
}
