#!/usr/bin/env bash
# Rights are enough and no more: neither store has refused anything to anybody until now, and what is beyond a user's rights
# is refused to it by each of the four servers.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# valkey SERVER USER COMMAND...: from a Sentinel's pod, where virtual machines are reached, too.
valkey() {
    kubectl --namespace valkey exec sentinel-0 -c sentinel -- /bin/valkey-cli --no-auth-warning -h "$1.valkey" \
        --user "$2" --pass "$(<"$deployed/generated/secrets/valkey-$2")" "${@:3}"
}

# redis USER COMMAND...
redis() {
    kubectl --namespace redis exec redis-0 -c redis -- /bin/redis-cli --no-auth-warning --user "$1" \
        --pass "$(<"$deployed/generated/secrets/redis-$1")" "${@:2}"
}

# refused_nothing NAME COMMAND...: the store that the command leads to.
refused_nothing() {
    local entries
    entries=$("${@:2}" default ACL LOG)
    [[ -z $entries ]] || fail "$1 has refused: $entries"
    ((stores += 1))
}

# is_refused NAME WORD COMMAND...: the store says so.
is_refused() {
    local said
    said=$("${@:3}" 2>&1) || true
    [[ $said == *"$2"* ]] || fail "$1: instead of $2: $said"
    ((refusals += 1))
}

# job_is_refused NAME CRONJOB WORD ARGUMENTS...: the log says so to a job of this user.
job_is_refused() {
    job "rights-$1" "$2" "${@:4}"
    await 120 "the try $1 is over" job_is_over "rights-$1"
    local told
    told=$(b logs "job/rights-$1") || fail "$1: it has no log"
    say "$(tail -n 3 <<<"$told")"
    holds blackfriday "job/rights-$1" Failed >/dev/null || fail "$1 was let do it"
    grep -Eiq "$3" <<<"$told" || fail "$1: the log does not say $3"
    ((refusals += 1))
}

stores=0
refusals=0
for server in valkey-0 valkey-1; do
    refused_nothing $server valkey $server
    is_refused "$server, the dashboard writes" NOPERM valkey $server dashboard SET reportes:total 1
    is_refused "$server, a consumer of sales reads a foreign key" NOPERM valkey $server consumer GET foreign
    valkey $server default ACL LOG RESET >/dev/null
done
if has_weather; then
    refused_nothing redis redis
    is_refused "redis, verify writes" NOPERM redis verify SET total_messages 1
    is_refused "redis, the consumer empties it" NOPERM redis consumer FLUSHALL
    redis default ACL LOG RESET >/dev/null
    job_is_refused rabbitmq verify-rabbit 'may not' topics create --partitions 1
fi
job_is_refused kafka verify 'authoriz' topics create --partitions 9
seen "$stores stores have refused nothing to anybody, and $refusals tries beyond a user's rights were refused."
