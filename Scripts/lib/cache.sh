# shellcheck shell=bash
# The cache shared by all clones of one user, and the rule that nothing half-made is ever seen in it. Sourced, never run.
#
# Work is done in a staging folder inside the cache, and what is complete is renamed into its place. A path that exists is
# therefore complete, and an interrupted run leaves only a staging folder, which the next run removes.

# Sets `cache` (absolute) and `staging`, and holds the cache's lock until the script ends.
open_cache() {
  cache="${ATTUNE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/attune}"
  mkdir -p "$cache" || fail "cannot make the cache folder $cache" "set ATTUNE_CACHE to a folder that can be written"
  cache="$(cd "$cache" && pwd)"
  exec 9>"$cache/.lock"
  if ! flock --nonblock 9; then
    say "another set-up is using $cache; waiting for it"
    flock 9
  fi
  rm -rf "$cache"/.staging.*
  staging="$(mktemp -d "$cache/.staging.XXXXXX")"
  trap 'rm -rf "$staging"' EXIT
}

# keep FROM TO: moves a finished file or folder out of staging; TO is relative to the cache.
keep() {
  mkdir -p "$(dirname "$cache/$2")"
  rm -rf "${cache:?}/$2"
  mv -T "$1" "$cache/$2"
}

# sha256 FILE
sha256() { sha256sum "$1" | cut -d ' ' -f 1; }

# expect_sum FILE SUM
expect_sum() {
  local found
  found="$(sha256 "$1")"
  [[ "$found" == "$2" ]] || fail "${1##*/} has SHA-256 $found, expected $2" \
    "run again: a damaged download is not kept" "if it happens again, the package was changed at its source: do not use it"
}
