#!/usr/bin/env bash
# Every pod on a sale's way is killed under load, one after the other. Requests may fail meanwhile; what was accepted is neither
# lost nor doubled, and everything comes back by itself.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=k8s/tests/cluster/killing.sh
. "$here/killing.sh"

table "| pod | ready again after s | accepted | refused | unknown | max ms |" && table "|---|---|---|---|---|---|"
kill_each -- blackfriday/{gateway,relay,writer,consumer,dashboard} kafka/kafka valkey/{valkey,sentinel}
everything_ready 120
killed_under sales
prove "${names[@]}"
