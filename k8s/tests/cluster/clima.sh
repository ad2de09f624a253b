#!/usr/bin/env bash
# A burst of weather: every report is accepted, both logs have it, and both stores count it once.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

has_weather || not_run "The overlay has no weather system."
load_begin clima --route input --rate "$rate" --duration 20s
load_end clima
seen "$accepted reports at $rate a second: p50 $p50 ms, p99 $p99 ms, max $longest ms."
((refused + unknown + not_sent == 0)) || fail "refused $refused, unknown $unknown, not sent $not_sent"
prove_weather clima
dashboard /api/totales >"$CLUSTER_OUT/clima.totals.json"
read -r in_valkey in_redis < <(python3 "$here/figures.py" weather "$CLUSTER_OUT/clima.totals.json")
seen "The dashboard shows $in_valkey reports in Valkey and $in_redis in Redis."
[[ $in_valkey == "$(counted rabbit)" && $in_redis == "$(counted kafka)" ]] || fail "that is not what was counted"
