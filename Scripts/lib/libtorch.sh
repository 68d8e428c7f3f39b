# shellcheck shell=bash
# Finding, checking and fetching libtorch. Sourced by Scripts/bootstrap, never run.

libtorch_minor=2.13
libtorch_package="torch==$libtorch_minor.0"
libtorch_remedies=(
  "set LIBTORCH to the folder of a libtorch $libtorch_minor (the one with include/ and lib/) and run this again"
  "or install it with pip ('python3 -m pip install $libtorch_package'), in the Python environment that is active here"
  "or check the network and pip's configuration ('python3 -m pip config list') and run this again"
)

# libtorch_version FOLDER: major.minor.patch, read from its headers, so that a wheel, an installed torch and a zip are alike.
libtorch_version() {
  awk '$2 ~ /^TORCH_VERSION_(MAJOR|MINOR|PATCH)$/ { v = v (v == "" ? "" : ".") $3 } END { print v }' \
    "$1/include/torch/headeronly/version.h"
}

# unusable FOLDER: why it cannot be built against; empty when it can.
unusable() {
  if [[ ! -d "$1" ]]; then
    echo "not a folder"
  elif [[ ! -f "$1/include/torch/csrc/api/include/torch/torch.h" || ! -f "$1/include/torch/headeronly/version.h" ]]; then
    echo "without libtorch's C++ headers (include/), or of another version"
  elif [[ ! -f "$1/lib/libtorch_cpu.so" ]]; then
    echo "without lib/libtorch_cpu.so"
  elif [[ "$(libtorch_version "$1")" != "$libtorch_minor".* ]]; then
    echo "libtorch $(libtorch_version "$1"), and $libtorch_minor is needed"
  fi
}

# unresolved_libraries FOLDER: what the dynamic loader does not find for the libraries that are linked.
unresolved_libraries() {
  local library
  for library in libtorch_cpu libtorch_cuda; do
    if [[ -f "$1/lib/$library.so" ]]; then ldd "$1/lib/$library.so" 2>&1 | awk '/not found/ { print $1 }'; fi
  done | sort -u | paste -s -d ' '
}

# require_loadable FOLDER ORIGIN
require_loadable() {
  local reason unresolved
  reason="$(unusable "$1")"
  [[ -z "$reason" ]] || fail "$2: $1 is $reason" "${libtorch_remedies[@]}"
  unresolved="$(unresolved_libraries "$1")"
  [[ -z "$unresolved" ]] ||
    fail "$2: the libraries in $1/lib need others that are not there: $unresolved" "${libtorch_remedies[@]}"
}

# installed_torch: the folder of an installed Python torch of the right minor version. Nothing of torch is executed.
installed_torch() {
  local folder reason
  folder="$(python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null || true)"
  [[ -n "$folder" ]] || return 0
  reason="$(unusable "$folder")"
  if [[ -n "$reason" ]]; then
    say "the installed Python torch is not used: $folder is $reason"
  else
    echo "$folder"
  fi
}

wants_cuda() {
  case "${ATTUNE_CUDA:-}" in
    0) return 1 ;;
    1) return 0 ;;
  esac
  [[ -e /dev/nvidiactl ]] || nvidia-smi --list-gpus >/dev/null 2>&1
}

# A CUDA wheel unpacked without its CUDA part carries this mark in its folder's name.
without_cuda=-without-cuda

# lacks_wanted_cuda FOLDER
lacks_wanted_cuda() { [[ "$1" == *"$without_cuda"/torch ]] && wants_cuda; }

# cached_libtorch: the folder to link to, if the cache has one for this machine; the CUDA build only comes first with a GPU.
cached_libtorch() {
  local kind folder kinds=("*$without_cuda" '*+cpu' '*')
  if wants_cuda; then kinds=('*+cu[0-9]*' '*'); fi
  for kind in "${kinds[@]}"; do
    for folder in "$cache/libtorch/$libtorch_minor."$kind/torch; do
      if [[ -z "$(unusable "$folder")" ]] && ! lacks_wanted_cuda "$folder"; then
        echo "$folder"
        return
      fi
    done
  done
}

# fetch_libtorch: one wheel for every Python, since libtorch itself does not depend on the Python version.
fetch_libtorch() {
  local wheel version name
  require_download_tools
  say "fetching $libtorch_package with pip (about 200 MB, or 530 MB where pip finds the CUDA build)"
  pip_download "$staging" --no-deps --only-binary=:all: --python-version 3.11 --platform "manylinux_2_28_$(uname -m)" \
    "$libtorch_package" || fail "pip could not fetch $libtorch_package" "${libtorch_remedies[@]}"
  wheel="$(echo "$staging"/torch-*.whl)"
  version="$(verified_wheel_version "$wheel")"
  name="$version"
  mkdir "$staging/unpacked"
  if ! wheel_has "$wheel" torch/lib/libtorch_cuda.so; then
    if wants_cuda; then say "pip's configuration gives a CPU build ($version): the GPU will not be used"; fi
    unpack_torch "$wheel" "$staging/unpacked"
  elif wants_cuda; then
    say "fetching the CUDA libraries that $version needs (about 2 GB)"
    unpack_torch "$wheel" "$staging/unpacked"
    add_cuda_libraries "$staging/unpacked" < <(cuda_requirements "$wheel")
  else
    say "no NVIDIA GPU here: the CUDA part of $version is left out (ATTUNE_CUDA=1 keeps it)"
    name="$version$without_cuda"
    # libtorch.so is an empty umbrella over all parts, the CUDA ones included.
    unpack_torch "$wheel" "$staging/unpacked" 'torch/lib/*cuda*' torch/lib/libtorch_nvshmem.so torch/lib/libcaffe2_nvrtc.so \
      torch/lib/libtorch.so
    # The CPU library of a CUDA build still loads CUDA's runtime and its profiling library (13 MB).
    add_cuda_libraries "$staging/unpacked" < <(cuda_requirements "$wheel" | sed -n -E 's/^cuda-toolkit\[[^]]*\]/cuda-toolkit[cudart,cupti]/p')
  fi
  require_loadable "$staging/unpacked/torch" "torch $version from pip"
  keep "$staging/unpacked" "libtorch/$name"
}

# wheel_has WHEEL PATTERN
wheel_has() { unzip -Z1 "$1" "$2" >/dev/null 2>&1; }

# verified_wheel_version WHEEL: its version, once the wheel is known to be whole and of the right version.
verified_wheel_version() {
  local version sum
  version="$(unzip -p "$1" torch/version.py | sed -n "s/^__version__ = '\(.*\)'/\1/p")"
  [[ "$version" == "$libtorch_minor".* ]] || fail "${1##*/} holds torch '$version', and $libtorch_minor is needed" "${libtorch_remedies[@]}"
  sum="$(sha256 "$1")"
  if grep -q "^$sum " "$scripts/libtorch.sha256"; then
    say "verified: torch $version, SHA-256 $sum"
  elif grep -qF "  ${1##*/}" "$scripts/libtorch.sha256"; then
    fail "${1##*/} has SHA-256 $sum, which is not the one in Scripts/libtorch.sha256" "${libtorch_remedies[@]}"
  else
    say "SHA-256 $sum is not in Scripts/libtorch.sha256: accepted because the wheel says that it is torch $version"
  fi
  echo "$version"
}

# unpack_torch WHEEL FOLDER [LEFT-OUT…]: what a C++ program needs, which is a small part of the wheel's files.
unpack_torch() {
  local wheel="$1" folder="$2" parts=('torch/include/*' 'torch/lib/lib*.so*' torch/version.py)
  shift 2
  if wheel_has "$wheel" 'torch.libs/*'; then parts+=('torch.libs/*'); fi
  say "unpacking ${wheel##*/}"
  unzip -q "$wheel" "${parts[@]}" -x torch/lib/libtorch_python.so "$@" -d "$folder" ||
    fail "could not unpack ${wheel##*/} into $folder" "check the free space of that disk; ATTUNE_CACHE names another folder"
}

# cuda_requirements WHEEL: the packages with CUDA libraries among what the wheel requires.
cuda_requirements() {
  unzip -p "$1" 'torch-*.dist-info/METADATA' | sed -n -E 's/^Requires-Dist: ((nvidia-|cuda-toolkit)[^;]*).*/\1/p'
}

# add_cuda_libraries FOLDER < REQUIREMENTS: puts nvidia/ beside torch/, where the libraries' own search paths look for it.
add_cuda_libraries() {
  local requirements wheel
  mapfile -t requirements
  mkdir "$staging/cuda"
  pip_download "$staging/cuda" --only-binary=:all: "${requirements[@]}" ||
    fail "pip could not fetch the CUDA libraries: ${requirements[*]}" "${libtorch_remedies[@]}"
  for wheel in "$staging"/cuda/nvidia_*.whl; do
    unzip -q -o "$wheel" 'nvidia/*/lib/*.so*' -d "$1" || fail "could not unpack ${wheel##*/}" "check the free space of that disk"
  done
}
