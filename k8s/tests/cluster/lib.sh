# shellcheck shell=bash
# What the steps have in common: waiting, load, the proof. Sourced by each of them; ../cluster.sh sets CLUSTER_*.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
step=$(basename "$0" .sh)
tree=$CLUSTER_OUT/tree/k8s
# What was not deployed by the step `deploy` has its secrets where it was deployed from.
deployed=$tree
[[ -d $deployed ]] || deployed=$CLUSTER_MANIFESTS
# Sales per second where the load only has to be there.
rate=${CLUSTER_RATE:-200}
# Each run of a step has receipts of its own: those of all reports are wanted whenever the two logs are compared.
receipts=/receipts/$(date +%s)-
weather_receipts=$CLUSTER_OUT/weather.receipts
read -r -a kubectl_words <<<"$CLUSTER_KUBECTL"
export PYTHONDONTWRITEBYTECODE=1

kubectl() { command "${kubectl_words[@]}" "$@"; }
b() { kubectl --namespace blackfriday "$@"; }

say() { printf '%s %s\n' "$(date -u +%T)" "$*"; }
seen() { say "$@" && echo "$*" >>"$CLUSTER_OUT/$step.seen"; }
table() { printf '%s\n' "$*" >>"$CLUSTER_OUT/$step.md"; }
fail() { seen "FAILED: $*" && exit 1; }
not_run() { seen "$*" && exit 77; }

# await SECONDS WHAT COMMAND...: tries again until it succeeds.
await() {
    local limit=$1 what=$2 end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "waited $limit s, and it is not so that $what"
        sleep 0.5
    done
    say "$what"
}

rolled_out() { kubectl --namespace "$1" rollout status "$2" --timeout=1s; }
there_is() { kubectl --namespace "$1" get "$2" >/dev/null 2>&1; }
holds() { kubectl --namespace "$1" wait "$2" --for=condition="$3" --timeout=1s; }

# Every workload of the overlay.
everything_ready() {
    local limit=$1 name
    if there_is kafka statefulset/kafka; then
        await "$limit" "kafka is ready" rolled_out kafka statefulset/kafka
    else
        await "$limit" "kafka is ready" holds kafka kafka/blackfriday Ready
    fi
    valkey_ready "$limit"
    await "$limit" "sentinels are ready" rolled_out valkey statefulset/sentinel
    if has_weather; then weather_ready "$limit"; fi
    for name in writer-a writer-b relay gateway consumer dashboard; do
        await "$limit" "$name is ready" rolled_out blackfriday "deployment/$name"
    done
}

has_weather() { there_is blackfriday deployment/rabbit-writer; }

weather_ready() {
    local name
    await "$1" "rabbitmq is ready" rolled_out rabbitmq statefulset/clima-rabbit-server
    await "$1" "redis is ready" rolled_out redis statefulset/redis
    for name in {kafka,rabbit}-{writer,consumer}; do
        await "$1" "$name is ready" rolled_out blackfriday "deployment/$name"
    done
}

valkey_ready() {
    if there_is valkey statefulset/valkey; then
        await "$1" "valkey is ready" rolled_out valkey statefulset/valkey
    else
        for name in valkey-0 valkey-1; do await "$1" "$name is ready" holds valkey "virtualmachine/$name" Ready; done
    fi
}

# blackfriday_deploy MANIFESTS: from images that are on the nodes.
blackfriday_deploy() {
    local words
    read -r -a words <<<"$CLUSTER_BLACKFRIDAY"
    "${words[@]}" deploy --manifests "$1" --overlay "$CLUSTER_OVERLAY" --no-push --yes
}

# job NAME CRONJOB ARGUMENTS...: that CronJob's job with other arguments, and with the claim `receipts`.
job() {
    local name=$1 from=$2
    shift 2
    there_is blackfriday persistentvolumeclaim/receipts || new_receipts
    b delete job "$name" --ignore-not-found >/dev/null
    b create job "$name" --from="cronjob/$from" --dry-run=client -o json | python3 "$here/job.py" "$@" | b create -f - >/dev/null
}

new_receipts() {
    rm -f "$weather_receipts"
    b create -f "$here/receipts.persistent-volume-claim.yaml"
}

job_runs() { [[ $(b get pods -l "job-name=$1" -o jsonpath='{.items[*].status.phase}') =~ Running|Succeeded|Failed ]]; }
job_is_over() { [[ $(b get job "$1" -o jsonpath='{.status.conditions[*].type}') =~ Complete|Failed ]]; }
# What it printed as JSON.
job_result() { b logs "job/$1" | grep '^{' | tail -n 1; }

# load_begin NAME ARGUMENTS...: returns when the load runs.
load_begin() {
    local name=$1
    shift
    job "load-$name" smoke --url http://gateway:8080 --json --receipts "$receipts$name" "$@"
    if [[ $* == *"--route input"* ]]; then echo "$receipts$name" >>"$weather_receipts"; fi
    await 60 "the load $name runs" job_runs "load-$name"
}

# load_end NAME: sets accepted, refused, unknown, not_sent, per_second, p50, p99, longest.
load_end() {
    await 180 "the load $1 is over" job_is_over "load-$1"
    job_result "load-$1" >"$CLUSTER_OUT/$1.load.json" || fail "the load $1 printed no result: $(b logs "job/load-$1" | tail -n 1)"
    # shellcheck disable=SC2034 # the steps use them
    read -r accepted refused unknown not_sent per_second p50 p99 longest < <(python3 "$here/figures.py" load "$CLUSTER_OUT/$1.load.json")
    say "load $1: accepted $accepted, refused $refused, unknown $unknown, not sent $not_sent"
}

# prove NAME...: of these loads nothing is lost, and nothing of the whole log is doubled or counted wrong.
prove() {
    local name told=() holds lost doubled accepted counted written not_written
    for name in "$@"; do told+=(--receipts "$receipts$name"); done
    job "verify-$step" verify verify --json --wait 60s "${told[@]}"
    await 180 "the proof is there" job_is_over "verify-$step"
    job_result "verify-$step" >"$CLUSTER_OUT/$step.proof.json" || fail "no proof: $(b logs "job/verify-$step" | tail -n 1)"
    read -r holds lost doubled accepted counted written not_written < <(python3 "$here/figures.py" proof "$CLUSTER_OUT/$step.proof.json")
    seen "verify: accepted $accepted, lost $lost, doubled $doubled, counted in all $counted," \
        "unknown outcomes $((written + not_written)) ($written written)."
    [[ $holds == True && $lost == 0 && $doubled == 0 ]] || fail "the proof does not hold: $CLUSTER_OUT/$step.proof.json"
}

# prove_weather NAME...: of these loads of reports both logs have all, and both stores count what their log adds up to. What
# only one log has is a fault, unless the receipts of this load or of one before it call its outcome unknown.
prove_weather() {
    local way file told=()
    for way in kafka rabbit; do prove_way "$way" "$@"; done
    while read -r file; do told+=(--receipts "$file"); done <"$weather_receipts"
    job "verify-logs-$step" verify-logs verify --both-logs --wait 60s "${told[@]}"
    await 180 "the logs are compared" job_is_over "verify-logs-$step"
    say "$(b logs "job/verify-logs-$step" | tail -n 5)"
    b wait "job/verify-logs-$step" --for=condition=Complete --timeout=1s >/dev/null || fail "the logs differ"
}

# prove_way kafka|rabbit NAME...
prove_way() {
    local way=$1 name told=() holds lost doubled accepted counted written not_written
    shift
    for name in "$@"; do told+=(--receipts "$receipts$name"); done
    job "verify-$way-$step" "verify-$way" verify --topics clima --json --wait 60s "${told[@]}"
    await 180 "the proof of $way is there" job_is_over "verify-$way-$step"
    job_result "verify-$way-$step" >"$CLUSTER_OUT/$step.$way.proof.json" || fail "no proof: $(b logs "job/verify-$way-$step" | tail -n 1)"
    read -r holds lost doubled accepted counted written not_written < <(python3 "$here/figures.py" proof "$CLUSTER_OUT/$step.$way.proof.json")
    seen "verify-$way: accepted $accepted, lost $lost, doubled $doubled, counted in all $counted," \
        "unknown outcomes $((written + not_written)) ($written written)."
    [[ $holds == True && $lost == 0 && $doubled == 0 ]] || fail "the proof does not hold: $CLUSTER_OUT/$step.$way.proof.json"
}

# counted kafka|rabbit: reports, by the last proof of this step.
counted() {
    local figures
    read -r -a figures < <(python3 "$here/figures.py" proof "$CLUSTER_OUT/$step.$1.proof.json")
    echo "${figures[4]}"
}

# dashboard PATH: what its API answers.
dashboard() {
    local line
    coproc forward { exec "${kubectl_words[@]}" --namespace blackfriday port-forward service/dashboard :8090; }
    read -r -t 30 -u "${forward[0]}" line || fail "no way to the dashboard"
    [[ $line =~ 127.0.0.1:([0-9]+) ]] || fail "no way to the dashboard: $line"
    curl --silent --show-error --fail --max-time 30 "http://127.0.0.1:${BASH_REMATCH[1]}$1"
    # shellcheck disable=SC2154 # coproc sets it
    kill "$forward_PID"
}

# primary: the server that the Sentinels name.
primary() {
    kubectl --namespace valkey exec sentinel-0 -c sentinel -- /bin/valkey-cli -p 26379 sentinel get-primary-addr-by-name blackfriday |
        sed -n 1p | cut -d . -f 1
}

# healed NAMESPACE SELECTOR COUNT UID: so many pods, all ready, and none is that one.
healed() {
    local pods
    pods=$(kubectl --namespace "$1" get pods -l "$2" --field-selector=status.phase=Running \
        -o jsonpath='{range .items[*]}{.metadata.uid} {.status.conditions[?(@.type=="Ready")].status} {.metadata.deletionTimestamp}{"\n"}{end}')
    [[ $pods != *"$4"* && $(grep -c ' True $' <<<"$pods") -ge $3 ]]
}
