#!/usr/bin/env bash
# The HPA gives the gateway three replicas under load, and takes two away after it.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

peak=${CLUSTER_PEAK_SECONDS:-90}
connections=${CLUSTER_CONNECTIONS:-32}

# Utilization, wanted replicas, ready replicas.
sample() {
    local cpu wanted ready
    read -r cpu wanted < <(b get hpa gateway -o jsonpath='{.status.currentMetrics[0].resource.current.averageUtilization} {.status.desiredReplicas}{"\n"}')
    ready=$(b get deployment gateway -o jsonpath='{.status.readyReplicas}')
    echo "$cpu $wanted ${ready:-0}"
}

replicas_are() { [[ $(b get deployment gateway -o jsonpath='{.status.replicas}/{.status.readyReplicas}') == "$1/$1" ]]; }

# What keeps a gateway from any node.
without_a_node() {
    b get pods -l app.kubernetes.io/name=gateway -o jsonpath='{.items[*].status.conditions[?(@.reason=="Unschedulable")].message}'
}

# watch UNTIL LIMIT: a row at each change of what the HPA sees or does.
watch() {
    local until=$1 end=$((SECONDS + $2)) last='' now cpu wanted ready
    while ((SECONDS < end)); do
        now=$(sample)
        if [[ $now != "$last" ]]; then
            read -r cpu wanted ready <<<"$now"
            table "| $((SECONDS - began)) | $cpu % | $wanted | $ready |"
            last=$now
        fi
        if replicas_are "$until"; then return; fi
        sleep 2
    done
    fail "not $until gateways after $2 s. $(without_a_node)"
}

await 240 "there is one gateway" replicas_are 1
table "| s | CPU, of the request | wanted | ready |" && table "|---|---|---|---|"
began=$SECONDS
load_begin peak --duration "${peak}s" --connections "$connections"
watch 3 "$peak"
up=$((SECONDS - began))
load_end peak
table "| $((SECONDS - began)) | the load has ended | | |"
watch 1 300
seen "1 → 3 replicas within $up s of load ($per_second sales/s in the mean), and back to 1 after $((SECONDS - began)) s."
prove peak
