#!/usr/bin/env bash
# The exercise by Locust's master and workers in the cluster, 200 users: every answer is 202 with an id, the autoscaler gives
# the gateway more than one replica, and all of it is counted.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

b get deployment locust-master >/dev/null 2>&1 || not_run "wants --component locust"

users=${CLUSTER_USERS:-200}
seconds=${CLUSTER_USERS_SECONDS:-120}

begin() {
    b set env deployment/locust-master LOCUST_HEADLESS=true LOCUST_EXPECT_WORKERS=2 LOCUST_USERS="$users" \
        LOCUST_SPAWN_RATE=10 LOCUST_RUN_TIME="${seconds}s"
}
restore() {
    b set env deployment/locust-master LOCUST_HEADLESS- LOCUST_EXPECT_WORKERS- LOCUST_USERS- LOCUST_SPAWN_RATE- LOCUST_RUN_TIME-
}
# The master's container ends with the run, and Kubernetes starts it again.
of_run() { b get pods -l app.kubernetes.io/name=locust,app.kubernetes.io/component=master -o jsonpath="{.items[0]$1}"; }
ended() { of_run '.status.containerStatuses[0].lastState.terminated.exitCode'; }
run_is_over() {
    local replicas
    replicas=$(b get deployment gateway -o jsonpath='{.status.readyReplicas}')
    ((${replicas:-0} <= most)) || most=$replicas
    [[ -n $(ended) ]]
}

most=0
trap restore EXIT
begin
await $((seconds + 240)) "the run is over" run_is_over
code=$(ended)
b logs "$(of_run .metadata.name)" --previous >"$CLUSTER_OUT/locust.master.log"
# The last line of totals; those of the percentiles have no bar.
read -r requests failures < <(awk '$1 == "Aggregated" && /[|]/ {requests = $2; failures = $3} END {print requests + 0, failures + 0}' \
    "$CLUSTER_OUT/locust.master.log")
seen "Locust, 2 workers: $requests requests, $failures failed, exit code $code."
((code == 0 && requests > 0 && failures == 0)) || fail "see $CLUSTER_OUT/locust.master.log"
seen "$users users for $seconds s: at the most $most gateways."
((most > 1)) || fail "the autoscaler left the gateway alone: kubectl -n blackfriday describe hpa gateway"
# What is compared must not grow meanwhile.
restore
trap - EXIT
await 120 "the master is idle" rolled_out blackfriday deployment/locust-master
# shellcheck disable=SC2119 # Locust writes no receipts: broker and store are compared
prove
