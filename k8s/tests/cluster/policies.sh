#!/usr/bin/env bash
# Every arrow of ../arrows.txt is open and no other is: pods with each client's labels try every server's port.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

probes() { kubectl get pods --all-namespaces -l blackfriday.test/probe -o json; }
all_over() { probes >"$CLUSTER_OUT/policies.pods.json" && python3 "$here/probes.py" over <"$CLUSTER_OUT/policies.pods.json"; }
remove() { kubectl delete pods --all-namespaces -l blackfriday.test/probe --grace-period=0 --force >/dev/null 2>&1 || true; }

export PROBES_COMPONENTS
PROBES_COMPONENTS=$(sed -n 's|^  - ../../components/||p' "$deployed/overlays/$CLUSTER_OVERLAY/kustomization.yaml")
trap remove EXIT
remove
image=$(b get cronjob smoke -o jsonpath='{.spec.jobTemplate.spec.template.spec.containers[0].image}')
python3 "$here/probes.py" make "$image" | kubectl create -f - >/dev/null
await 240 "every probe has ended" all_over
python3 "$here/probes.py" table "$CLUSTER_OUT/policies.pods.json" >"$CLUSTER_OUT/policies.md"
python3 "$here/probes.py" judge "$CLUSTER_OUT/policies.pods.json" | while read -r line; do seen "$line"; done
