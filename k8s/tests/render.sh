#!/usr/bin/env bash
# Renders every overlay and every combination of combinations.txt, and checks them against rules.py. Needs kustomize
# (or kubectl, which has one inside), openssl, curl and Python 3 with PyYAML (named in PYTHON, if it is not python3), and no
# cluster.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
images=(gateway relay writer consumer dashboard verify load valkey-config kafka valkey rabbitmq redis valkey-disk locust grafana)
python=${PYTHON:-python3}
out=

usage() {
    cat <<'USAGE'
usage: k8s/tests/render.sh [--out DIRECTORY]

  --out   keep what is rendered, one file each: kubectl apply --server-side --dry-run=server --validate=strict -f FILE
USAGE
}

case ${1:-} in
    '') ;;
    --out) out=$(mkdir -p "${2:?}" && cd "$2" && pwd) ;;
    *)
        usage
        exit 64
        ;;
esac
for program in openssl curl "$python"; do
    command -v "$program" >/dev/null || {
        echo "render: $program is missing" >&2
        exit 69
    }
done
if command -v kustomize >/dev/null; then
    kustomize=(kustomize build)
elif command -v kubectl >/dev/null; then
    kustomize=(kubectl kustomize)
else
    echo "render: kustomize is missing" >&2
    exit 69
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp -r "$here/.." "$work/k8s"
cp "$here/../../Cargo.toml" "$work"
rm -rf "$work/k8s/generated"
out=${out:-$work/out}
mkdir -p "$out"

# Made-up digests, so that an image which none would be found for is seen.
mkdir -p "$work/k8s/generated/images"
{
    echo 'images:'
    for name in "${images[@]}"; do
        printf '  - name: "blackfriday/%s"\n    newName: "registry.test:5000/blackfriday/%s"\n    digest: sha256:%s\n' \
            "$name" "$name" "$(printf %s "$name" | sha256sum | cut -d ' ' -f 1)"
    done
} >"$work/k8s/generated/images/kustomization.yaml"
echo "oci://registry.test:5000/blackfriday/workload@sha256:$(sha256sum </dev/null | cut -d ' ' -f 1)" >"$work/k8s/generated/images/workload"
echo made-up >"$work/password"
echo made-up >"$work/ca.crt"
echo https://alerts.test/hook >"$work/webhook"
export BLACKFRIDAY_REGISTRY_PASSWORD_FILE=$work/password BLACKFRIDAY_REGISTRY_CA=$work/ca.crt
"$work/k8s/generate.sh" --registry registry.test:5000 --domain shop.test --alert-webhook "$work/webhook"

# The way back: other images come, and those before them are taken again.
deployed() { grep -c "digest: sha256:$1" "$work/k8s/generated/kustomization.yaml" || true; }
in_use=$(printf gateway | sha256sum | cut -d ' ' -f 1)
sed -i "s/$in_use/${in_use//?/0}/" "$work/k8s/generated/images/kustomization.yaml"
"$work/k8s/generate.sh" --registry registry.test:5000 --domain shop.test
[[ $(deployed "$in_use") == 0 ]] || {
    echo "render: generate.sh does not take what was pushed" >&2
    exit 1
}
for _ in 1 2; do "$work/k8s/generate.sh" --registry registry.test:5000 --domain shop.test; done
"$work/k8s/generate.sh" --registry registry.test:5000 --domain shop.test --rollback
[[ $(deployed "$in_use") == 1 ]] || {
    echo "render: generate.sh --rollback does not take what was in use before" >&2
    exit 1
}

# combination NAME COMPONENT...: an overlay of its own.
combination() {
    local folder=$work/k8s/overlays/$1 component
    shift
    mkdir "$folder"
    {
        printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - ../../base\ncomponents:\n'
        for component in "$@"; do printf '  - ../../components/%s\n' "$component"; done
        printf '  - ../../generated\n'
    } >"$folder/kustomization.yaml"
}

while read -r -a words; do
    combination "${words[@]}"
done < <(grep -v '^#' "$here/combinations.txt")

# The overlay that the manual makes for Grafana's Helm chart.
cp -r "$work/k8s/overlays/minikube" "$work/k8s/overlays/minikube-helm"
(cd "$work" && bash -euc "$(grep '^sed .*/minikube-helm/' "$here/../../docs/operations.md")")

for folder in "$work"/k8s/overlays/* "$work"/k8s/operators/kubevirt-cr*; do
    "${kustomize[@]}" "$folder" >"$out/$(basename "$folder").yaml"
done

# What --domain says is said everywhere: of hosts, certificates and the dashboards' links.
if grep -rnF blackfriday.test "$out" >&2; then
    echo "render: generate.sh --domain leaves hosts as they were" >&2
    exit 1
fi

# What we change in the releases of operators, seen on something of their shape.
mkdir -p "$out/operators"
for release in "$here"/releases/*.yaml; do
    name=$(basename "$release")
    folder=$work/k8s/operators/${name%.yaml}
    cp "$release" "$folder/release.yaml"
    "${kustomize[@]}" "$folder" >"$out/operators/$name"
done
[[ $("${kustomize[@]}" "$work/k8s/operators/metrics-server-kind") == *--kubelet-insecure-tls* ]] || {
    echo "render: operators/metrics-server-kind takes the certificates of no kubelet of kind" >&2
    exit 1
}

# As `image mirror` leaves it, an overlay and its operators have every image from our registry, and a copy of an older release
# gives way.
foreign() {
    local folder
    for folder in overlays/everything-machines operators/{strimzi,rabbitmq,kubevirt}; do
        "${kustomize[@]}" "$work/mirrored/$folder"
    done | sed -nE -e 's/^ *(- )?image: //p' -e '/^ *- name: [A-Z_]*_IMAGE$/{n;s/^ *value: //p}' |
        grep -v '^registry\.test:5000/.*@sha256:' | sort -u || true
}
# mirrored COUNT FOLDER...: how often it stands in what is rendered of them.
mirrored() {
    local pattern=$1 folder
    shift
    for folder in "$@"; do "${kustomize[@]}" "$work/mirrored/$folder"; done | grep -cE "$pattern" || true
}
cp -r "$work/k8s" "$work/mirrored"
while read -r image; do
    name=${image%@*}
    name=${name%:*}
    printf '  - name: "%s"\n    newName: "registry.test:5000/%s"\n    digest: sha256:%s\n' "$name" "$name" \
        "$(printf %s "$name" | sha256sum | cut -d ' ' -f 1)" >>"$work/mirrored/generated/images/kustomization.yaml"
    printf '%s %s\n' "$name" "$image" >>"$work/mirrored/generated/images/mirrored"
done < <(foreign)
[[ $(wc -l <"$work/mirrored/generated/images/mirrored") -ge 14 ]] || {
    echo "render: hardly an image of others is found" >&2
    exit 1
}
"$work/mirrored/generate.sh" --registry registry.test:5000 --domain shop.test
[[ -z $(foreign) ]] || {
    echo "render: these images are not taken from our registry: $(foreign)" >&2
    exit 1
}
# Brokers, too, which an operator starts; and operators have the password, in their own namespaces.
[[ $(mirrored '^    image: registry\.test:5000/quay\.io/strimzi/kafka@sha256:' overlays/everything-machines) == 1 &&
$(mirrored '^  - name: operator-registry-pull$|^- name: operator-registry-pull$' operators/{strimzi,rabbitmq,kubevirt,kubevirt-cr}) == 4 &&
$(mirrored '^  name: operator-registry-pull$' operators/{strimzi,rabbitmq,kubevirt,kubevirt-cr}) == 3 &&
$(mirrored '^          value: operator-registry-pull$' operators/strimzi) == 1 ]] || {
    echo "render: operators do not pull from our registry" >&2
    exit 1
}
sed -i 's|image: docker.io/prom/prometheus:v|&1|' "$work/mirrored/components/prometheus/stateful-set.yaml"
sed -i 's|value: quay.io/kubevirt/virt-api:v|&1|' "$work/mirrored/operators/kubevirt/images/kustomization.yaml"
# A copy by the tag alone may be of other bytes.
sed -i '/^quay.io.strimzi.operator /s/@.*//' "$work/mirrored/generated/images/mirrored"
"$work/mirrored/generate.sh" --registry registry.test:5000 --domain shop.test 2>/dev/null
[[ $(foreign) == docker.io/prom/prometheus:v1*@sha256:*quay.io/kubevirt/virt-api:v11.9.0@sha256:*quay.io/strimzi/operator:1.2.0@sha256:* ]] || {
    echo "render: a copy takes the place of what it is not of: $(foreign)" >&2
    exit 1
}

# A release is taken by its hash, or not at all; what is there already is not fetched again.
mkdir "$work/operators" "$work/operators/one"
cp "$here/../operators/fetch.sh" "$work/operators"
echo release >"$work/release"
release() { printf 'one  %s  file://%s\n' "$(printf %b "$1" | sha256sum | cut -d ' ' -f 1)" "$2" >"$work/operators/releases"; }
release 'release\n' "$work/release"
"$work/operators/fetch.sh" one
release 'release\n' "$work/nowhere"
"$work/operators/fetch.sh" one
release 'another\n' "$work/release"
if "$work/operators/fetch.sh" one 2>/dev/null || ! cmp --silent "$work/release" "$work/operators/one/release.yaml"; then
    echo "render: fetch.sh takes a release of another hash" >&2
    exit 1
fi

"$python" "$here/rules.py" "$work/k8s" "$out"
echo "render: $(find "$out" -name '*.yaml' | wc -l) renderings hold"
