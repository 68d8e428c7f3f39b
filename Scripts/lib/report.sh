# shellcheck shell=bash
# What the scripts say. Sourced, never run.

# Progress goes to stderr: stdout is left to functions that return a value through it.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# fail MESSAGE [REMEDY…]: the cause on the first line, what can be done about it on the next ones.
fail() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  shift
  for remedy in "$@"; do printf '  - %s\n' "$remedy" >&2; done
  exit 1
}
