# shellcheck shell=bash
# Packages through pip, with the user's own pip configuration (index, find-links, certificates, proxy). Sourced, never run.

# pip_download FOLDER ARGUMENT…: pip's own cache is left out, since what is unpacked here is cached already.
pip_download() {
  local folder="$1" bar=off
  shift
  if [[ -t 2 ]]; then bar=on; fi
  python3 -m pip download --disable-pip-version-check --no-cache-dir --progress-bar "$bar" --dest "$folder" "$@" >&2
}
