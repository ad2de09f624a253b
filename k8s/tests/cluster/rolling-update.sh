#!/usr/bin/env bash
# Every service is replaced under load, one after the other: no request fails, nothing is lost or doubled.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

services=(gateway relay writer-a writer-b consumer dashboard)
failed=0
table "| service | replaced in s | accepted | refused | unknown | p99 ms | max ms |" && table "|---|---|---|---|---|---|---|"
for service in "${services[@]}"; do
    load_begin "update-$service" --rate "$rate" --duration 30s
    began=$SECONDS
    b rollout restart "deployment/$service" >/dev/null
    # A new object first, else the old one's completeness is what is seen.
    await 10 "$service is being replaced" b rollout status "deployment/$service" --watch=false
    await 60 "$service is replaced" rolled_out blackfriday "deployment/$service"
    took=$((SECONDS - began))
    load_end "update-$service"
    table "| $service | $took | $accepted | $refused | $unknown | $p99 | $longest |"
    ((failed += refused + unknown + not_sent)) || true
done
seen "${#services[@]} services replaced under $rate sales a second; $failed requests failed."
prove "${services[@]/#/update-}"
((failed == 0)) || fail "$failed requests failed"
