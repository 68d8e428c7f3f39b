# shellcheck shell=bash
# The programs that set-up and the build need. Sourced, never run.

swift_minimum=6.2

# The Swift toolchain is no system package, so it is only checked.
require_swift() {
  local remedy="install Swift $swift_minimum or later from https://www.swift.org/install and put its bin folder on PATH" found
  command -v swift >/dev/null || fail "no Swift toolchain found" "$remedy"
  found="$(swift --version 2>&1 | sed -n -E 's/.*Swift version ([0-9.]+).*/\1/p')"
  [[ "$(printf '%s\n' "$swift_minimum" "$found" | sort -V | head -n 1)" == "$swift_minimum" ]] ||
    fail "Swift $found found, $swift_minimum or later needed" "$remedy"
}

# What it takes to build: headers of a C++ standard library are looked for with the compiler that SwiftPM will use.
require_build_tools() {
  local missing=()
  command -v make >/dev/null || missing+=(make)
  command -v git >/dev/null || missing+=(git)
  command -v flock >/dev/null || missing+=(util-linux)
  clang++ -x c++ -fsyntax-only - <<<'#include <vector>' 2>/dev/null || missing+=(g++)
  install_missing "${missing[@]}"
  require_libraries
}

# What the program links beside libtorch: SQLite, for preference stores.
require_libraries() {
  clang++ -x c -fsyntax-only - <<<'#include <sqlite3.h>' 2>/dev/null || install_missing libsqlite3-dev
}

# What it takes to fetch a package: pip, and unzip because a wheel is a zip.
require_download_tools() {
  local missing=()
  command -v python3 >/dev/null || missing+=(python3)
  python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
  command -v unzip >/dev/null || missing+=(unzip)
  install_missing "${missing[@]}"
}

# install_missing PACKAGE…: Debian's names. Only root may install; anyone else is told the command.
install_missing() {
  (($# > 0)) || return 0
  local install=(apt-get install --yes --no-install-recommends "$@")
  command -v apt-get >/dev/null ||
    fail "missing on this machine: $*" "install them with the system's package manager (these are Debian's names)"
  ((EUID == 0)) || fail "missing on this machine: $*" "run: sudo ${install[*]}"
  say "installing what is missing: $*"
  apt-get update --quiet=2 >&2 || fail "apt-get could not read its package lists" "check the network, then run: ${install[*]}"
  DEBIAN_FRONTEND=noninteractive "${install[@]}" --quiet=2 >&2 || fail "apt-get could not install: $*" "run: ${install[*]}"
}
