#!/usr/bin/env bash
# The overlay from the images in --images: everything becomes ready.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bring_images() {
    local archive
    read -r -a load <<<"$CLUSTER_LOAD"
    ((${#load[@]} > 0)) || fail "--images without --load"
    for archive in "$CLUSTER_IMAGES"/*.tar*; do
        "${load[@]}" "$archive"
        say "the nodes have $archive"
    done
    mkdir -p "$tree/generated/images"
    python3 "$here/images.py" "$CLUSTER_IMAGES" >"$tree/generated/images/kustomization.yaml"
}

# The secrets of the last time are kept, as the volumes are.
refresh_tree() {
    mkdir -p "$tree"
    find "$tree" -mindepth 1 -maxdepth 1 ! -name generated -exec rm -rf {} +
    tar -C "$CLUSTER_MANIFESTS" --exclude=./generated -cf - . | tar -C "$tree" -xf -
}

# registry-access comes after everything that brings accounts, and generated/ last.
add_components() {
    local component
    for component in $CLUSTER_COMPONENTS; do
        sed -i "s|^  - ../../components/registry-access$|  - ../../components/$component\n&|" "$tree/overlays/$CLUSTER_OVERLAY/kustomization.yaml"
    done
}

deploy() {
    if [[ -n $CLUSTER_BLACKFRIDAY ]]; then
        blackfriday_deploy "$tree"
        return
    fi
    [[ $CLUSTER_OVERLAY == plain ]] || fail "--overlay $CLUSTER_OVERLAY without --blackfriday"
    "$tree/generate.sh"
    kubectl apply --server-side -k "$tree/base/namespaces"
    kubectl -n kafka delete job kafka-setup --ignore-not-found
    kubectl -n rabbitmq delete job rabbitmq-setup --ignore-not-found
    kubectl apply --server-side --force-conflicts -k "$tree/overlays/plain"
}

refresh_tree
add_components
if [[ -n $CLUSTER_IMAGES ]]; then bring_images; fi
began=$SECONDS
deploy
everything_ready 600
for log in kafka rabbitmq; do
    if kubectl -n $log get job $log-setup >/dev/null 2>&1; then
        kubectl -n $log wait --for=condition=Complete job/$log-setup --timeout=300s
    fi
done
await 60 "Sentinels name a primary" test -n "$(primary)"
if [[ -n $CLUSTER_COMPONENTS ]]; then seen "With$CLUSTER_COMPONENTS:"; fi
seen "everything is ready after $((SECONDS - began)) s; the primary is $(primary)."
kubectl get pods -A -o wide
