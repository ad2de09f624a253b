#!/usr/bin/env bash
# Tries an overlay on a real cluster. README.md in this folder describes the steps.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CLUSTER_KUBECTL=kubectl CLUSTER_LOAD='' CLUSTER_IMAGES='' CLUSTER_BLACKFRIDAY='' CLUSTER_COMPONENTS='' CLUSTER_OUT=cluster-results
export CLUSTER_OVERLAY=plain CLUSTER_MANIFESTS=$here/..
# Every step with its limit in seconds, in the order in which they are run.
steps=(deploy:900 sale:240 clima:300 locust:600 policies:1200 rolling-update:1800 kills:1800 clima-kills:1200 failover:420 rights:300 autoscaler:600 writers:900 faults:600)

usage() {
    cat <<'USAGE'
usage: k8s/tests/cluster.sh [OPTIONS] [STEP...]

  --kubectl 'COMMAND'      kubectl, and how it finds the cluster (kubectl)
  --images DIRECTORY       image archives to bring to the nodes first; without it images are where they have to be
  --load 'COMMAND'         brings one archive to the nodes: it is called as COMMAND ARCHIVE
  --blackfriday 'COMMAND'  deploys by `COMMAND deploy`; without it by kubectl, as ../README.md has it
  --overlay NAME           plain (without it), or another, for which --blackfriday is needed
  --manifests DIRECTORY    manifests that are not these
  --component NAME         a component more in the overlay, for instance small-node; may be given several times, in this order
  --out DIRECTORY          results.md, logs, and the passwords of what was deployed (cluster-results)

Without STEP all are run: deploy sale clima locust policies rolling-update kills clima-kills failover rights autoscaler writers faults
Exit code 0 if every step passed, 1 if one did not.
USAGE
}

limit_of() {
    local step
    for step in "${steps[@]}"; do
        if [[ ${step%:*} == "$1" ]]; then
            echo "${step#*:}"
            return
        fi
    done
    usage >&2
    exit 64
}

# A step's file says what was seen in STEP.seen, its tables in STEP.md, everything else in STEP.log.
run_step() {
    local step=$1 limit=$2 began=$SECONDS code=0 verdict
    rm -f "$CLUSTER_OUT/$step".{seen,md,verdict}
    echo "cluster: $step, at the most $limit s" >&2
    timeout --kill-after=30 "$limit" bash "$here/cluster/$step.sh" >"$CLUSTER_OUT/$step.log" 2>&1 || code=$?
    case $code in
        0) verdict=passed ;;
        77) verdict='not run' ;;
        124 | 137) verdict="FAILED: not done in $limit s" ;;
        *) verdict=FAILED ;;
    esac
    printf '%s\t%s\n' "$verdict" "$((SECONDS - began))" >"$CLUSTER_OUT/$step.verdict"
    echo "cluster: $step $verdict after $((SECONDS - began)) s: $(tail -n 1 "$CLUSTER_OUT/$step.log")" >&2
    [[ $code == 0 || $code == 77 ]]
}

# Of every step that was ever run with this --out.
write_results() {
    local step verdict seconds
    printf '| step | verdict | s | seen |\n|---|---|---|---|\n'
    for step in "${steps[@]%:*}"; do
        if [[ -e $CLUSTER_OUT/$step.verdict ]]; then
            IFS=$'\t' read -r verdict seconds <"$CLUSTER_OUT/$step.verdict"
            printf '| %s | %s | %s | %s |\n' "$step" "$verdict" "$seconds" \
                "$(paste -s -d ' ' "$CLUSTER_OUT/$step.seen" 2>/dev/null || true)"
        fi
    done
    for step in "${steps[@]%:*}"; do
        if [[ -e $CLUSTER_OUT/$step.md ]]; then
            printf '\n## %s\n\n' "$step"
            cat "$CLUSTER_OUT/$step.md"
        fi
    done
}

chosen=()
while (($# > 0)); do
    case $1 in
        --kubectl) CLUSTER_KUBECTL=${2:?} && shift ;;
        --load) CLUSTER_LOAD=${2:?} && shift ;;
        --images) CLUSTER_IMAGES=$(realpath "${2:?}") && shift ;;
        --blackfriday) CLUSTER_BLACKFRIDAY=${2:?} && shift ;;
        --overlay) CLUSTER_OVERLAY=${2:?} && shift ;;
        --manifests) CLUSTER_MANIFESTS=$(realpath "${2:?}") && shift ;;
        --component) CLUSTER_COMPONENTS+=" ${2:?}" && shift ;;
        --out) CLUSTER_OUT=${2:?} && shift ;;
        --help)
            usage
            exit 0
            ;;
        -*)
            usage >&2
            exit 64
            ;;
        *) chosen+=("$1") ;;
    esac
    shift
done
((${#chosen[@]} > 0)) || chosen=("${steps[@]%:*}")
for step in "${chosen[@]}"; do limit_of "$step" >/dev/null; done
mkdir -p "$CLUSTER_OUT"
CLUSTER_OUT=$(realpath "$CLUSTER_OUT")

failed=0
for step in "${chosen[@]}"; do
    run_step "$step" "$(limit_of "$step")" || failed=1
    write_results >"$CLUSTER_OUT/results.md"
done
cat "$CLUSTER_OUT/results.md"
exit $failed
