#!/usr/bin/env bash
# Every arrow of ../arrows.txt is open and no other is: pods with each client's labels try every server's port.
# shellcheck source=k8s/tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Pods at once, of ten containers each with the weather system. All together would be too much for a small node.
batch=${CLUSTER_PROBES:-6}

probes() { kubectl get pods --all-namespaces -l blackfriday.test/probe -o json; }
all_over() { probes >"$1" && python3 "$here/probes.py" over <"$1"; }
remove() { kubectl delete pods --all-namespaces -l blackfriday.test/probe --grace-period=0 --force >/dev/null 2>&1 || true; }

export PROBES_COMPONENTS
PROBES_COMPONENTS=$(sed -n 's|^  - ../../components/||p' "$deployed/overlays/$CLUSTER_OVERLAY/kustomization.yaml")
trap remove EXIT
remove
image=$(b get cronjob smoke -o jsonpath='{.spec.jobTemplate.spec.template.spec.containers[0].image}')
files=()
for ((first = 0; first < $(python3 "$here/probes.py" count); first += batch)); do
    files+=("$CLUSTER_OUT/policies.$first.json")
    python3 "$here/probes.py" make "$image" "$first" "$batch" | kubectl create -f - >/dev/null
    await 240 "every probe from number $first has ended" all_over "${files[-1]}"
    remove
done
python3 "$here/probes.py" table "${files[@]}" >"$CLUSTER_OUT/policies.md"
python3 "$here/probes.py" judge "${files[@]}" | while read -r line; do seen "$line"; done
