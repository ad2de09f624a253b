#!/usr/bin/env bash
# The primary goes away for longer than Sentinels wait: the replica is promoted, the old primary comes back as replica of it,
# and the counts are right.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A server's own pod, or the one that its machine is in.
pod_of() { kubectl -n valkey get pods -o name -l "vm.kubevirt.io/name=$1" | grep . || echo "pod/$1"; }

# A pod that comes back within the 5 s of the Sentinels is still the primary, so it is deleted until they have chosen.
deleted_until_promoted() {
    kubectl -n valkey delete "$(pod_of "$old")" --grace-period=0 --force --wait=false >/dev/null 2>&1 || true
    chosen=$(primary) && [[ -n $chosen && $chosen != "$old" ]]
}

role_of() {
    kubectl -n valkey exec sentinel-0 -c sentinel -- /bin/valkey-cli --no-auth-warning -h "$1.valkey" --user sentinel \
        --pass "$(<"$deployed/generated/secrets/valkey-sentinel")" info replication | tr -d '\r' | sed -n "s/^$2://p"
}

is_replica_of_new() { [[ $(role_of "$old" role) == slave && $(role_of "$old" master_host) == "$new".* && $(role_of "$old" master_link_status) == up ]]; }

valkey_ready 60
old=$(primary)
new=valkey-$((1 - ${old#valkey-}))
say "the primary is $old"
load_begin failover --rate "$rate" --duration 30s
sleep 3
began=$SECONDS
await 60 "the Sentinels have chosen another primary than $old" deleted_until_promoted
took=$((SECONDS - began))
[[ $(primary) == "$new" ]] || fail "the Sentinels name $(primary)"
[[ $(role_of "$new" role) == master ]] || fail "$new is no primary"
load_end failover
await 120 "$old is a replica of $new, and has its link" is_replica_of_new
seen "$new promoted $took s after $old was deleted; $old came back as its replica after $((SECONDS - began)) s;" \
    "$accepted sales accepted, $refused refused, $unknown unknown."
prove failover
((refused + unknown == 0)) || fail "sales were refused, though none of them needs Valkey"
