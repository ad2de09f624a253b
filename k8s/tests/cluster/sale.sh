#!/usr/bin/env bash
# A flash sale through the gateway's Service: every sale is accepted, none is lost, none doubled.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

load_begin sale --rate "$rate" --curve --duration 20s
load_end sale
seen "$accepted sales in a burst with a mean of $rate a second: p50 $p50 ms, p99 $p99 ms, max $longest ms."
((refused + unknown + not_sent == 0)) || fail "refused $refused, unknown $unknown, not sent $not_sent"
prove sale
