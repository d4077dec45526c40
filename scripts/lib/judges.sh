# Sourced: the real servers and the other clients that the tests run against, installed once a machine and version
# by the ordinary clients of Go's and npm's registries into $PROVEX_TOOLS.

PROVEX_TOOLS=${PROVEX_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/provex/tools}
export PROVEX_TOOLS

# install_go NAME PACKAGE@VERSION: builds a command and keeps it under its name and version.
install_go() {
  local name=$1 package=$2 kept="$PROVEX_TOOLS/$1-${2##*@}" built
  if [ ! -x "$kept" ]; then
    echo "provex: building $package" >&2
    mkdir -p "$PROVEX_TOOLS" && built=$(mktemp -d) || return
    if CGO_ENABLED=0 GOBIN="$built" GOTOOLCHAIN=local go install -trimpath "$package"; then
      mv "$built"/* "$kept"
    fi
    rm -rf "$built"
  fi
  [ -x "$kept" ] && ln -sf "${kept##*/}" "$PROVEX_TOOLS/$name"
}

# install_npm PACKAGE@VERSION: keeps a package with what it needs under its name and version.
install_npm() {
  local package=$1 folder
  folder="$PROVEX_TOOLS/npm-$(echo "${1#@}" | tr '/@' '--')"
  if [ ! -e "$folder/complete" ]; then
    echo "provex: installing $package" >&2
    mkdir -p "$folder" &&
      npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error "$package" >&2 &&
      touch "$folder/complete"
  fi
  [ -e "$folder/complete" ] && ln -sfn "${folder##*/}" "$PROVEX_TOOLS/npm"
}

# The servers: Rekor v2 over a file system, and an RFC 3161 authority.
install_servers() {
  install_go rekor-server-v2 github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0 &&
    install_go timestamp-server github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3
}

# The clients that judge bundles. The crate sigstore-verify, the fourth, is a dependency of the tests themselves.
install_judges() {
  install_go cosign github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3 &&
    install_go sigstore-go-verify github.com/sigstore/sigstore-go/examples/sigstore-go-verification@v1.3.0 &&
    install_npm @sigstore/verify@4.1.3
}
