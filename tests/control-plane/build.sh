#!/usr/bin/env bash
# Builds the control plane once and keeps it in the user's cache folder, or takes KUBEBUILDER_ASSETS.
#
#   build.sh            make the folder ready; its path is the only line on stdout, progress goes to stderr
#   build.sh --print    say the path without building
#
# The folder is named by a key of everything that decides the result, so "is it up to date?" is "is it
# there?", a second clone builds nothing, and two versions live side by side. It appears by one rename:
# an interrupted build leaves nothing that could be taken for a finished one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

programs=(etcd kube-apiserver kube-controller-manager kubectl)

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# The envtest convention. setup-envtest ships no controller manager, and most of Holdfast works without.
use_assets() {
  local folder=$KUBEBUILDER_ASSETS program
  for program in etcd kube-apiserver kubectl; do
    [[ -x $folder/$program ]] || fail "KUBEBUILDER_ASSETS=$folder has no $program; unset it to build one with Go"
  done
  [[ -x $folder/kube-controller-manager || ${1-} == --print ]] ||
    say "warning: $folder has no kube-controller-manager: Deployments will make no pods, the HPA will not act and" \
      "deleted namespaces will not go away. Put one there, or unset KUBEBUILDER_ASSETS to build all four with Go."
  (cd "$folder" && pwd)
}

version_of() { sed -n "s#^[[:space:]]*$1 \(v[0-9.]*\)\$#\1#p" go.mod; }

linker_flags() {
  local version major minor
  version=$(version_of k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${version#v}"
  local -r at=k8s.io/component-base/version
  echo "-s -w -X $at.gitVersion=$version -X $at.gitMajor=$major -X $at.gitMinor=$minor -X $at.gitTreeState=clean"
}

key() { { go version && linker_flags && cat go.mod go.sum ./*.go; } | git hash-object --stdin | cut -c1-16; }

# `go build -v` names each package as it is compiled. On a terminal the line is rewritten every second; in
# a pipe one is added every 15 seconds, so that a CI log shows life without filling up.
show_progress() {
  local -r log=$1 build=$2 total=$3
  local line
  SECONDS=0
  while kill -0 "$build" 2>/dev/null; do
    line=$(printf '  %4d of up to %d packages, %d:%02d' \
      "$(grep -c '^[^ ]*$' "$log" || true)" "$total" $((SECONDS / 60)) $((SECONDS % 60)))
    if [[ -t 2 ]]; then printf '\r%s' "$line" >&2; elif ((SECONDS % 15 == 14)); then say "$line"; fi
    sleep 1
  done
  if [[ -t 2 ]]; then printf '\n' >&2; fi
}

build_into() {
  local -r folder=$1
  say "Building etcd $(version_of go.etcd.io/etcd/server/v3) and Kubernetes $(version_of k8s.io/kubernetes)" \
    "from source: about 8 minutes on 2 cores, once per machine."
  say "  fetching modules"
  local total build
  trap "rm -rf $(printf %q "$folder")" EXIT
  total=$(go list -deps . | wc -l) || fail "the modules could not be fetched (see above)"
  : >"$folder/build.log"
  CGO_ENABLED=0 go build -v -trimpath -ldflags "$(linker_flags)" -o "$folder/control-plane" . 2>"$folder/build.log" &
  build=$!
  trap "kill $build 2>/dev/null || true; rm -rf $(printf %q "$folder")" EXIT
  show_progress "$folder/build.log" "$build" "$total"
  wait "$build" || { tail -n 30 "$folder/build.log" >&2; fail "the control plane did not build (see above)"; }
  for program in "${programs[@]}"; do ln -s control-plane "$folder/$program"; done
  rm "$folder/build.log"
  trap - EXIT
}

main() {
  if [[ -n ${KUBEBUILDER_ASSETS-} ]]; then use_assets "${1-}"; return; fi
  command -v git >/dev/null || fail "git is needed and is not installed"
  command -v go >/dev/null || fail "no control plane: install Go ($(sed -n 's/^go //p' go.mod) or newer) and it is built from" \
    "source, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl (see setup-envtest)"

  local folder
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast/control-plane/$(key)
  if [[ ${1-} != --print && ! -d $folder ]]; then
    mkdir -p "$folder.building-$$"
    build_into "$folder.building-$$"
    # Another build may have finished first; its result is the same, so either will do.
    if [[ -d $folder ]]; then rm -rf "$folder.building-$$"; else mv "$folder.building-$$" "$folder"; fi
  fi
  echo "$folder"
}

main "$@"
