#!/usr/bin/env bash
# Every pod is killed under load, one after the other. Requests may fail meanwhile; what was accepted is neither lost nor
# doubled, and everything comes back by itself.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# kill_pod NAMESPACE LABEL POD
kill_pod() {
    local namespace=$1 selector=app.kubernetes.io/name=$2 pod=$3 count uid began
    count=$(kubectl -n "$namespace" get pods -l "$selector" -o name | wc -l)
    uid=$(kubectl -n "$namespace" get "$pod" -o jsonpath='{.metadata.uid}')
    load_begin "kill-$number" --rate "$rate" --duration 20s
    sleep 3
    began=$SECONDS
    kubectl -n "$namespace" delete "$pod" --grace-period=0 --force >/dev/null 2>&1
    await 180 "$pod is replaced" healed "$namespace" "$selector" "$count" "$uid"
    took=$((SECONDS - began))
    load_end "kill-$number"
    table "| ${pod#pod/} | $took | $accepted | $refused | $unknown | $longest |"
    names+=("kill-$number")
    ((number += 1))
}

number=1
names=()
table "| pod | ready again after s | accepted | refused | unknown | max ms |" && table "|---|---|---|---|---|---|"
for target in blackfriday/{gateway,relay,writer,consumer,dashboard} kafka/kafka valkey/{valkey,sentinel}; do
    namespace=${target%/*} label=${target#*/}
    for pod in $(kubectl -n "$namespace" get pods -l "app.kubernetes.io/name=$label" -o name); do
        kill_pod "$namespace" "$label" "$pod"
    done
done
everything_ready 120
seen "$((number - 1)) pods killed under $rate sales a second."
prove "${names[@]}"
