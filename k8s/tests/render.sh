#!/usr/bin/env bash
# Renders every overlay and every combination of combinations.txt, and checks them against rules.py. Needs kustomize
# (or kubectl, which has one inside), openssl and Python 3 with PyYAML (named in PYTHON, if it is not python3), and no
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
for program in openssl "$python"; do
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

for folder in "$work"/k8s/overlays/* "$work"/k8s/operators/kubevirt-cr*; do
    "${kustomize[@]}" "$folder" >"$out/$(basename "$folder").yaml"
done

# Mirrored, an overlay has every image from our registry. The clients are made up.
mkdir "$work/bin"
cat >"$work/bin/skopeo" <<SH
#!$BASH
: >"\${!##oci-archive:}"
SH
cat >"$work/bin/blackfriday" <<SH
#!$BASH
# image push ARCHIVE REFERENCE --name NAME --kustomize FOLDER
printf '  - name: "%s"\n    newName: "%s"\n    digest: sha256:%s\n' "\$6" "\${4%:*}" "\$(printf %s "\$4" | sha256sum | cut -d ' ' -f 1)" \\
    >>"\$8/kustomization.yaml"
SH
chmod +x "$work/bin/skopeo" "$work/bin/blackfriday"
cp -r "$work/k8s" "$work/mirrored"
PATH="$work/bin:$PATH" "$work/mirrored/mirror.sh" --registry registry.test:5000 everything-machines 2>/dev/null
"$work/mirrored/generate.sh" --registry registry.test:5000 --domain shop.test
foreign=$("${kustomize[@]}" "$work/mirrored/overlays/everything-machines" | grep -E '^ *(- )?image: ' | grep -v ' registry\.test:5000/.*@sha256:' || true)
[[ -z $foreign ]] || {
    echo "render: mirror.sh leaves images of others: $foreign" >&2
    exit 1
}

# What we change in the releases of operators, seen on something of their shape.
mkdir -p "$out/operators"
for release in "$here"/releases/*.yaml; do
    name=$(basename "$release")
    folder=$work/k8s/operators/${name%.yaml}
    cp "$release" "$folder"
    sed -i "s|https://.*/releases/download/.*|$name|" "$folder/kustomization.yaml"
    "${kustomize[@]}" "$folder" >"$out/operators/$name"
done
"$python" "$here/rules.py" "$work/k8s" "$out"
echo "render: $(find "$out" -name '*.yaml' | wc -l) renderings hold"
