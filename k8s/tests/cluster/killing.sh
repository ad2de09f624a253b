# shellcheck shell=bash
# Kills pods under load, one after the other. Sourced by the steps that do, after lib.sh.

number=1
names=()

# kill_pod NAMESPACE LABEL POD [ARGUMENT OF LOAD...]
kill_pod() {
    local namespace=$1 selector=app.kubernetes.io/name=$2 pod=$3 count uid began
    shift 3
    count=$(kubectl -n "$namespace" get pods -l "$selector" -o name | wc -l)
    uid=$(kubectl -n "$namespace" get "$pod" -o jsonpath='{.metadata.uid}')
    load_begin "kill-$number" --rate "$rate" --duration 20s "$@"
    sleep 3
    began=$SECONDS
    kubectl -n "$namespace" delete "$pod" --grace-period=0 --force >/dev/null 2>&1
    await 180 "$pod is replaced" healed "$namespace" "$selector" "$count" "$uid"
    took=$((SECONDS - began))
    load_end "kill-$number"
    table "| ${pod#pod/} | $took | $accepted | $refused | $unknown | $longest |"
    names+=("kill-$number")
    # Who waits for what was killed is not ready at once, and the next pod's numbers are to be its own.
    everything_ready 180 >/dev/null
    ((number += 1))
}

# kill_each ARGUMENTS OF LOAD -- NAMESPACE/LABEL...
kill_each() {
    local load=() target pod
    while [[ $1 != -- ]]; do load+=("$1") && shift; done
    for target in "${@:2}"; do
        for pod in $(kubectl -n "${target%/*}" get pods -l "app.kubernetes.io/name=${target#*/}" -o name); do
            kill_pod "${target%/*}" "${target#*/}" "$pod" "${load[@]}"
        done
    done
}

killed_under() { seen "$((number - 1)) pods killed under $rate $1 a second."; }
