#!/usr/bin/env bash
# Stands in for kubectl and kustomize: writes down what it was asked for, and answers from the files of $CLUSTER. Each file in
# answers/ has a pattern, an exit code, and what is said; the first one, by name, that fits is the answer. What was applied
# is there when it is asked for again. All else is there and ready.
set -euo pipefail

words="$*"
if [[ ${0##*/} == kustomize ]]; then
    printf 'kustomize %s\n' "$words" >>"$CLUSTER/asked"
    cat "$CLUSTER/rendered.json"
    exit
fi
printf '%s\n' "$words" >>"$CLUSTER/asked"

for answer in "$CLUSTER"/answers/*; do
    [[ -e $answer ]] || break
    { read -r pattern; read -r code; } <"$answer"
    # shellcheck disable=SC2053 # It is a pattern.
    if [[ $words == $pattern ]]; then
        [[ ! -p /dev/stdin ]] || cat >/dev/null
        if ((code == 0)); then tail -n +3 "$answer"; else tail -n +3 "$answer" >&2; fi
        exit "$code"
    fi
done

yes() { printf '{"type":"%s","status":"True"},' "$@"; }
ready() {
    printf '{"metadata":{"name":"x","generation":1,"labels":{"blackfriday/operator":"%s"}},"spec":{"replicas":1},' "$1"
    printf '"status":{"observedGeneration":1,"replicas":1,"updatedReplicas":1,"availableReplicas":1,"readyReplicas":1,'
    printf '"conditions":[%s{"type":"Degraded","status":"False"}]}}' "$(yes Ready Complete Available Established AllReplicasReady)"
}

case $words in
    *'apply '*'-o json -f -')
        cat >"$CLUSTER/applying"
        mv "$CLUSTER/applying" "$CLUSTER/live.json"
        cat "$CLUSTER/live.json"
        ;;
    *'get --ignore-not-found -o json -f -')
        cat >/dev/null
        [[ ! -e $CLUSTER/live.json ]] || cat "$CLUSTER/live.json"
        ;;
    *' -f -') cat >/dev/null ;;
    version*) echo '{"clientVersion":{"gitVersion":"v1.36.0"},"kustomizeVersion":"v5.8.0","serverVersion":{"gitVersion":"v1.36.0"}}' ;;
    *'config view'*) echo '{"current-context":"test","clusters":[{"cluster":{"server":"https://cluster.test:6443"}}]}' ;;
    *'get namespaces'*) echo '{"kind":"List","items":[{},{},{},{},{},{}]}' ;;
    *'get crd kafkas'*) ready strimzi ;;
    *'get crd kubevirts'*) ready kubevirt ;;
    *'get crd rabbitmqclusters'*) ready rabbitmq ;;
    *'get job kafka-setup'* | *'get job rabbitmq-setup'*) ;;
    *'get configmap'*) ;;
    *'--all-namespaces'* | *'get pods,'* | *'get events'* | *'part-of!='* | *'get ingress'*) echo '{"kind":"List","items":[]}' ;;
    *' logs job/smoke-'*) echo 'accepted 1' ;;
    *' logs job/verify-'*) echo 'holds: every accepted event is in the log' ;;
    *'get '*) ready x ;;
    *'delete '*) printf 'deployment.apps "gateway" deleted\n' ;;
esac
