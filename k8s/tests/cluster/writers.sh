#!/usr/bin/env bash
# One against two replicas of each of the two writers, in turns, so that what else the machine does meets both.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

rounds=${CLUSTER_ROUNDS:-3}
seconds=${CLUSTER_ROUND_SECONDS:-20}
connections=${CLUSTER_CONNECTIONS:-64}

replicas() {
    b scale deployment writer-a writer-b --replicas="$1" >/dev/null
    await 90 "writer-a has $1 replicas" rolled_out blackfriday deployment/writer-a
    await 90 "writer-b has $1 replicas" rolled_out blackfriday deployment/writer-b
    # Until relays have resolved the writers' name again, and those that go are gone.
    await 60 "no writer is ending" no_writer_is_ending
    sleep 8
}

no_writer_is_ending() {
    [[ -z $(b get pods -l app.kubernetes.io/name=writer -o jsonpath='{.items[*].metadata.deletionTimestamp}') ]]
}

restore() {
    b scale deployment writer-a writer-b --replicas=1 >/dev/null
    b patch hpa gateway --patch '{"spec":{"maxReplicas":3}}' >/dev/null
}

trap restore EXIT
b patch hpa gateway --patch '{"spec":{"maxReplicas":1}}' >/dev/null
await 120 "there is one gateway" healed blackfriday app.kubernetes.io/name=gateway 1 none
table "| round | replicas of each writer | accepted/s | p50 ms | p99 ms | max ms | refused or unknown |" && table "|---|---|---|---|---|---|---|"
names=()
for ((round = 1; round <= rounds; round++)); do
    for count in 1 2; do
        replicas "$count"
        load_begin "writers-$count-$round" --duration "${seconds}s" --connections "$connections"
        load_end "writers-$count-$round"
        names+=("writers-$count-$round")
        table "| $round | $count | $per_second | $p50 | $p99 | $longest | $((refused + unknown)) |"
    done
done
seen "$rounds rounds of $seconds s with $connections connections each."
prove "${names[@]}"
