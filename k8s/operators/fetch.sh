#!/usr/bin/env bash
# Brings the releases of operators to where their folders take them from, each by the hash in `releases`. Needs curl.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'USAGE'
usage: k8s/operators/fetch.sh NAME...

Writes k8s/operators/NAME/release.yaml, unless it is there with its hash already. The names are those of k8s/operators/releases.
USAGE
}

die() {
    printf 'fetch: %s\n' "$*" >&2
    exit "${code:-69}"
}

# Whether the file has this hash.
is() { sha256sum --check --status <<<"$2  $1" 2>/dev/null; }

fetch() {
    local line name sha256 address file
    line=$(grep "^$1 " "$here/releases") || code=64 die "$1: no line of $here/releases"
    read -r name sha256 address <<<"$line"
    file=$here/$name/release.yaml
    if is "$file" "$sha256"; then return; fi
    curl --silent --show-error --fail --location --retry 3 --connect-timeout 10 --max-time 300 --output "$file.part" "$address" ||
        die "$address cannot be had"
    if ! is "$file.part" "$sha256"; then
        rm "$file.part"
        die "$address has another hash than $here/releases says: nothing of it is used"
    fi
    mv "$file.part" "$file"
}

case ${1:---help} in
    --help) usage ;;
    -*)
        usage >&2
        exit 64
        ;;
    *) for name in "$@"; do fetch "$name"; done ;;
esac
