#!/usr/bin/env bash
# Builds a program of peers once per machine and prints its path; progress goes to stderr: `build.sh` that of the diffs,
# `build.sh opa` the one in that folder. As with the control plane, its folder in the user's cache is named by a key of
# everything that decides the result and appears by one rename.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/${1:-.}"

key=$({ go version && cat go.mod go.sum main.go; } | git hash-object --stdin | cut -c1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast/bench-peers/$key

if [[ ! -x $folder/peers ]]; then
  echo "Building other tools (${1:-gitops-engine}) from source to measure them: a few minutes on 2 cores, once per machine." >&2
  unfinished=$folder.building-$$
  trap 'rm -rf "$unfinished"' EXIT
  mkdir -p "$unfinished"
  packages=$(go list -deps . | wc -l)
  CGO_ENABLED=0 go build -v -trimpath -o "$unfinished/peers" . 2>&1 |
    awk -v total="$packages" 'NR % 50 == 0 { printf "  %4d of up to %d packages\n", NR, total } /:[0-9]+:/ { print }' >&2
  # Another build may have finished first; its result is the same, so either will do.
  [[ -d $folder ]] || mv "$unfinished" "$folder"
fi
echo "$folder/peers"
