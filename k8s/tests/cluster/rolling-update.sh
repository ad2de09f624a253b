#!/usr/bin/env bash
# Every service, the Sentinels and the Valkey servers, unless they are machines, are replaced under load, one after the other:
# no request fails, nothing is lost or doubled.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

failed=0
names=()
reports=()

# replace NAMESPACE KIND/NAME SECONDS [ARGUMENT OF LOAD...]: within a load of so many seconds.
replace() {
    local namespace=$1 what=$2 seconds=$3 name=${2#*/} began took
    shift 3
    load_begin "update-$name" --rate "$rate" --duration "${seconds}s" "$@"
    began=$SECONDS
    kubectl --namespace "$namespace" rollout restart "$what" >/dev/null
    await "$((seconds + 60))" "$name is replaced" rolled_out "$namespace" "$what"
    took=$((SECONDS - began))
    load_end "update-$name"
    table "| $name | $took | $accepted | $refused | $unknown | $p99 | $longest |"
    failed=$((failed + refused + unknown + not_sent))
    if (($# > 0)); then reports+=("update-$name"); else names+=("update-$name"); fi
}

table "| what | replaced in s | accepted | refused | unknown | p99 ms | max ms |" && table "|---|---|---|---|---|---|---|"
for service in gateway relay writer-a writer-b consumer dashboard; do
    replace blackfriday "deployment/$service" 30
done
replace valkey statefulset/sentinel 70
if there_is valkey statefulset/valkey; then replace valkey statefulset/valkey 90; fi
if has_weather; then
    for service in {kafka,rabbit}-{writer,consumer}; do replace blackfriday "deployment/$service" 30 --route input; done
fi
seen "$((${#names[@]} + ${#reports[@]})) workloads replaced under $rate sales or reports a second; $failed requests failed."
prove "${names[@]}"
if has_weather; then prove_weather "${reports[@]}"; fi
((failed == 0)) || fail "$failed requests failed"
