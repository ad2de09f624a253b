#!/usr/bin/env bash
# Every pod of the weather system is killed under reports, one after the other: what was accepted is in both logs and counted
# once in both stores, what only one log has is an outcome that its client calls unknown, and everything comes back by itself.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=k8s/tests/cluster/killing.sh
. "$here/killing.sh"

has_weather || not_run "The overlay has no weather system."
table "| pod | ready again after s | accepted | refused | unknown | max ms |" && table "|---|---|---|---|---|---|"
kill_each --route input -- rabbitmq/clima-rabbit redis/redis kafka/kafka blackfriday/{kafka,rabbit}-{writer,consumer}
everything_ready 120
killed_under reports
prove_weather "${names[@]}"
