# shellcheck shell=bash
# What k8s/ is rendered and checked with, in addition to the checkers: Kustomize and promtool. Sourced by ./dev.

readonly OLDEST_KUSTOMIZE=5.4 OUR_KUSTOMIZE=v5.7.1
readonly KUSTOMIZE_BY_HAND="kustomize $OLDEST_KUSTOMIZE or newer, a kubectl with such a one inside (1.31 or newer), or go (1.22 or newer) is wanted on PATH"
readonly PROMTOOL_BY_HAND="promtool, which comes with Prometheus, is wanted on PATH"

setup_manifests() {
    setup_kustomize
    setup_promtool
}

# k8s/tests/render.sh takes the first of the two.
have_kustomize() {
    if has kustomize; then
        kustomize_is_new kustomize version
    else
        kustomize_is_new kubectl version --client
    fi
}

# Kubectl says the version of its Kustomize last. Debian's own says none; the oldest that Debian has is new enough.
kustomize_is_new() {
    local said
    said=$("$@" 2>/dev/null) || return 1
    [[ $said == "(devel)" ]] || at_least "$OLDEST_KUSTOMIZE" "$(grep -oE '[0-9]+(\.[0-9]+)+' <<<"$said" | tail -n 1)"
}

# Newer releases of Debian have it. It is a Go module, too.
setup_kustomize() {
    if have_kustomize; then
        return
    fi
    say "fetching kustomize"
    if has apt-get; then
        apt_update
    fi
    if at_least "$OLDEST_KUSTOMIZE" "$(candidate kustomize)"; then
        apt_install kustomize
    elif has go; then
        logged env GOBIN="$tools/kustomize" GOFLAGS= go install "sigs.k8s.io/kustomize/kustomize/v5@$OUR_KUSTOMIZE"
    fi
    hash -r
    have_kustomize || die "$EX_UNAVAILABLE" "$KUSTOMIZE_BY_HAND"
}

# Out of its package: installed, it would be a server that runs.
setup_promtool() {
    if has promtool; then
        return
    fi
    say "fetching promtool"
    unpack "$tools/prometheus" "$PROMTOOL_BY_HAND" prometheus
    hash -r
    has promtool || die "$EX_UNAVAILABLE" "what was fetched does not run. $PROMTOOL_BY_HAND"
}
