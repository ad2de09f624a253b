#!/usr/bin/env bash
# Copies the images of others that an overlay names into our registry, and lets the overlay take them from there, by digest.
# Needs skopeo, blackfriday, and kustomize (or kubectl, which has one inside).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
registry=
overlay=

usage() {
    cat <<'USAGE'
usage: k8s/mirror.sh --registry HOST[:PORT] OVERLAY

Writes k8s/generated/images, as `blackfriday image push --kustomize` does, and reads BLACKFRIDAY_REGISTRY_* like it. Before it
k8s/generate.sh has to have run once; after it, it runs again, or `blackfriday deploy` does. When the manifests name another
release of an image, run this again: until then its copy is taken.
USAGE
}

# The images of pods, and of what operators make pods of, that come from elsewhere. Ours have no host before they are pushed.
foreign() {
    local image
    while read -r image; do
        [[ $image == "$registry"/* || $image == blackfriday/* ]] || printf '%s\n' "$image"
    done < <(sed -nE 's/^ *(- )?image: "?([^" ]+)"?$/\2/p' | sort -u)
}

while (($# > 0)); do
    case $1 in
        --registry)
            registry=${2:?}
            shift
            ;;
        --help)
            usage
            exit 0
            ;;
        -*)
            usage >&2
            exit 64
            ;;
        *) overlay=$1 ;;
    esac
    shift
done
if [[ -z $registry || ! -d $here/overlays/$overlay || -z $overlay ]]; then
    usage >&2
    exit 64
fi
if command -v kustomize >/dev/null; then
    kustomize=(kustomize build)
else
    kustomize=(kubectl kustomize)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${kustomize[@]}" "$here/overlays/$overlay" >"$work/rendered"
foreign <"$work/rendered" >"$work/images"
while read -r image; do
    name=${image%@*}
    tag=${name##*:}
    # A port is no tag.
    [[ $tag != "$name" && $tag != */* ]] || tag=latest
    name=${name%:"$tag"}
    echo "mirror: $image" >&2
    rm -f "$work/image.tar"
    skopeo --insecure-policy copy --quiet "docker://$image" "oci-archive:$work/image.tar" </dev/null
    blackfriday image push "$work/image.tar" "$registry/$name:$tag" --name "$name" --kustomize "$here/generated/images" </dev/null
done <"$work/images"
