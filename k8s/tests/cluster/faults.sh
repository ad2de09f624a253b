#!/usr/bin/env bash
# What cannot become ready ends `blackfriday deploy` with the reason, long before its timeout; repaired, it goes on.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ -n $CLUSTER_BLACKFRIDAY ]] || not_run "wants --blackfriday"
broken=$CLUSTER_OUT/broken/k8s

break_tree() {
    rm -rf "$broken"
    mkdir -p "$broken"
    cp -r "$tree/." "$broken"
}

# stops WHAT WORD...: a deployment of the broken tree ends with 69, and says all of these words.
stops() {
    local what=$1 code=0 began=$SECONDS word
    shift
    blackfriday_deploy "$broken" >"$CLUSTER_OUT/faults.said" 2>&1 || code=$?
    cat "$CLUSTER_OUT/faults.said"
    ((code == 69)) || fail "$what: exit code $code"
    for word in "$@"; do
        grep -q "$word" "$CLUSTER_OUT/faults.said" || fail "$what: $word is not in what it said"
    done
    seen "$what: stopped after $((SECONDS - began)) s."
    table "$what:" && table '' && table '```' && tail -n 4 "$CLUSTER_OUT/faults.said" >>"$CLUSTER_OUT/$step.md" && table '```' && table ''
}

repaired() {
    rm -rf "$broken"
    blackfriday_deploy "$tree"
    everything_ready 300
}

trap 'rm -rf "$broken"' EXIT

break_tree
mkdir -p "$broken/generated/images"
[[ -e $broken/generated/images/kustomization.yaml ]] || echo 'images:' >"$broken/generated/images/kustomization.yaml"
printf '  - name: "blackfriday/writer"\n    newName: "blackfriday/writer"\n    digest: sha256:%064d\n' 0 >>"$broken/generated/images/kustomization.yaml"
stops "a digest that is nowhere" writer "ErrImagePull\|ImagePullBackOff"
repaired

break_tree
sed -i '/secret blackfriday relay-credentials/d' "$broken/generate.sh"
b delete secret relay-credentials
b delete pod -l app.kubernetes.io/name=relay --wait=false
stops "a Secret that is missing" relay-credentials FailedMount
repaired
seen "Repaired, everything is ready each time."
