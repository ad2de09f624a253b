#!/usr/bin/env bash
# Writes generated/, the Kustomize component that every overlay takes in: secrets, made once and kept, and the images by
# digest. Nothing of it belongs into the repository. README.md describes the files.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/generated
registry=
domain=

usage() {
    cat <<'USAGE'
usage: k8s/generate.sh [--registry HOST[:PORT]] [--domain NAME] [--out DIRECTORY]

  --registry   let the cluster pull from there as the user BLACKFRIDAY_REGISTRY_USERNAME (blackfriday without it) with the
               password in the file BLACKFRIDAY_REGISTRY_PASSWORD_FILE; BLACKFRIDAY_REGISTRY_CA names its authority's
               certificate, if it has one of its own
  --domain     NAME is the gateway's, dashboard.NAME and grafana.NAME the others', instead of blackfriday.test
  --out        instead of k8s/generated

Images are those of images/kustomization.yaml in that directory, which `blackfriday image push --kustomize` writes.
Without it they keep their names and tags, for clusters whose nodes have them already.
USAGE
}

die() {
    printf 'generate: %s\n' "$*" >&2
    exit 64
}

# once FILE COMMAND...: the command's output becomes the file, unless it is there.
once() {
    local file=$out/secrets/$1
    shift
    if [[ ! -s $file ]]; then
        "$@" >"$file.new"
        mv "$file.new" "$file"
    fi
}

# Without a newline: some readers take a file as it is.
password() { printf %s "$(openssl rand -hex 24)"; }

hash_of() { sha256sum <"$out/secrets/$1" | cut -d ' ' -f 1; }

authority() {
    if [[ ! -s $out/secrets/ca.crt ]]; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=blackfriday \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
            -keyout "$out/secrets/ca.key" -out "$out/secrets/ca.crt" 2>/dev/null
    fi
}

# certificate NAME serverAuth|clientAuth DNS...: by our authority, for two years; made again in its last month.
certificate() {
    local name=$1 usage=$2 file=$out/secrets/$1 names
    shift 2
    if openssl x509 -checkend 2592000 -noout -in "$file.crt" >/dev/null 2>&1; then
        return
    fi
    names=$(printf ',DNS:%s' "$@")
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$file.key" 2>/dev/null |
        openssl x509 -req -CA "$out/secrets/ca.crt" -CAkey "$out/secrets/ca.key" -days 730 -out "$file.crt" \
            -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "${names#,}" "$usage") 2>/dev/null
}

# The least that each client of Valkey does: then its ACL LOG stays empty.
valkey_users() {
    local shown='posicion:* ventas:global:* reportes:total ranking:* stats:* historial:precio:* serie:ventas country_counts total_messages'
    local read_only write_only
    read -ra read_only <<<"$shown"
    read -ra write_only <<<"$shown ultimo:* detenido:* empezado:* idempotencia:* esquema reportes:total:* clima:*"
    echo "user consumer on #$(hash_of valkey-consumer) resetchannels -@all +ping +role +info +multi +exec +fcall +function|load +type +exists +time +get +set +hget +hmget +hgetall +hset +hdel +hlen +zadd +zcard +zmscore +zrange +zrem +zremrangebyrank +zremrangebyscore +pexpireat ${write_only[*]/#/\~}"
    echo "user dashboard on #$(hash_of valkey-dashboard) resetchannels -@all +ping +role +multi +exec +get +hgetall +zrange ${read_only[*]/#/%R\~}"
    echo "user verify on #$(hash_of valkey-verify) resetchannels -@all +ping +role +multi +exec +scan +type +pexpiretime +get +hgetall +hscan +zrange ${write_only[*]/#/%R\~}"
    echo "user grafana on #$(hash_of valkey-grafana) resetchannels -@all +ping +info +command +client|setname +get +hget +hgetall +zrange ${read_only[*]/#/%R\~}"
    echo "user sentinel on #$(hash_of valkey-sentinel) resetkeys resetchannels &__sentinel__:* -@all +client|kill +client|setname +config|rewrite +exec +failover +hello +info +multi +ping +publish +replicaof +role +script|kill +slaveof +subscribe"
}

secrets() {
    local name suffix names=()
    mkdir -p "$out/secrets"
    chmod 700 "$out/secrets"
    for name in kafka-{admin,writer,consumer,verify,redrive} valkey-{default,consumer,dashboard,verify,grafana,sentinel} \
        sentinel-peer grafana-admin; do
        once "$name" password
    done
    authority
    for suffix in svc svc.cluster.local; do
        names+=("kafka.kafka.$suffix" "*.kafka.kafka.$suffix" "blackfriday-kafka-bootstrap.kafka.$suffix"
            "*.blackfriday-kafka-brokers.kafka.$suffix")
    done
    certificate kafka serverAuth "${names[@]}"
    cat "$out/secrets/kafka.key" "$out/secrets/kafka.crt" >"$out/secrets/kafka.pem"
    certificate writer serverAuth writers.blackfriday.svc.cluster.local
    certificate relay clientAuth relay.blackfriday.svc.cluster.local
    valkey_users >"$out/secrets/users.acl"
    printf 'sentinel-%d.sentinel.valkey.svc.cluster.local:26379\n' 0 1 2 >"$out/secrets/sentinels"
    registry_access
}

registry_access() {
    local user=${BLACKFRIDAY_REGISTRY_USERNAME:-blackfriday} auth
    [[ -n $registry ]] || return 0
    auth=$(printf '%s:%s' "$user" "$(head -n 1 "${BLACKFRIDAY_REGISTRY_PASSWORD_FILE:?}")" | base64 -w 0)
    printf '{"auths":{"%s":{"auth":"%s"}}}' "$registry" "$auth" >"$out/secrets/pull.json"
    if [[ -n ${BLACKFRIDAY_REGISTRY_CA:-} ]]; then
        cp "$BLACKFRIDAY_REGISTRY_CA" "$out/secrets/registry-ca.crt"
    fi
}

# secret NAMESPACE NAME FILE-OR-LITERAL...: a file is KEY=secrets/FILE, a literal is KEY:VALUE.
secret() {
    local namespace=$1 name=$2 entry
    shift 2
    printf '  - name: %s\n    namespace: %s\n    files:\n' "$name" "$namespace"
    for entry in "$@"; do
        [[ $entry == *:* ]] || printf '      - %s\n' "$entry"
    done
    if [[ $* == *:* ]]; then
        printf '    literals:\n'
        for entry in "$@"; do
            [[ $entry != *:* ]] || printf '      - %s=%s\n' "${entry%%:*}" "${entry#*:}"
        done
    fi
}

secret_generators() {
    local ca=ca.crt=secrets/ca.crt namespace n=.valkey.svc.cluster.local
    local vm=(password=secrets/valkey-default users.acl=secrets/users.acl sentinels=secrets/sentinels sentinel-group:blackfriday)
    secret blackfriday relay-credentials tls.crt=secrets/relay.crt tls.key=secrets/relay.key $ca
    secret blackfriday writer-credentials kafka-password=secrets/kafka-writer tls.crt=secrets/writer.crt tls.key=secrets/writer.key $ca
    secret blackfriday consumer-credentials kafka-password=secrets/kafka-consumer valkey-password=secrets/valkey-consumer $ca
    secret blackfriday dashboard-credentials valkey-password=secrets/valkey-dashboard
    secret blackfriday verify-credentials kafka-password=secrets/kafka-verify valkey-password=secrets/valkey-verify $ca
    secret blackfriday redrive-credentials kafka-password=secrets/kafka-redrive $ca
    secret kafka kafka-credentials admin=secrets/kafka-admin writer=secrets/kafka-writer consumer=secrets/kafka-consumer \
        verify=secrets/kafka-verify redrive=secrets/kafka-redrive tls.crt=secrets/kafka.crt tls.key=secrets/kafka.key \
        kafka.pem=secrets/kafka.pem $ca
    secret valkey valkey-0 "${vm[@]}" role:primary "announce:valkey-0$n"
    secret valkey valkey-1 "${vm[@]}" role:replica "announce:valkey-1$n" "primary:valkey-0$n"
    secret valkey sentinel password=secrets/valkey-sentinel peer-password=secrets/sentinel-peer \
        sentinels=secrets/sentinels user:sentinel sentinel-group:blackfriday "primary:valkey-0$n"
    secret monitoring grafana-credentials admin-password=secrets/grafana-admin valkey-password=secrets/valkey-grafana
    if [[ -s $out/secrets/pull.json ]]; then
        for namespace in blackfriday kafka monitoring valkey; do
            secret $namespace registry-pull .dockerconfigjson=secrets/pull.json
            printf '    type: kubernetes.io/dockerconfigjson\n'
        done
    fi
}

# What was pushed, word for word: a component of its own could not say where a virtual machine names its image.
images() {
    if [[ -s $out/images/kustomization.yaml ]]; then
        sed -n '/^images:/,$p' "$out/images/kustomization.yaml"
    fi
}

# The hosts of whatever lets traffic in; a target that an overlay does not have is passed over.
hosts() {
    local name host
    [[ -n $domain ]] || return 0
    echo 'patches:'
    for name in gateway dashboard grafana; do
        host=$domain
        [[ $name == gateway ]] || host=$name.$domain
        printf '  - target: {kind: Ingress, name: %s}\n    patch: '\''[{"op": "replace", "path": "/spec/rules/0/host", "value": "%s"}]'\''\n' "$name" "$host"
        printf '  - target: {kind: HTTPRoute, name: %s}\n    patch: '\''[{"op": "replace", "path": "/spec/hostnames/0", "value": "%s"}]'\''\n' "$name" "$host"
    done
}

kustomization() {
    local namespace
    cat <<'YAML'
# By k8s/generate.sh. Not for the repository.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
configurations:
  - image-fields.yaml
generatorOptions:
  # KafkaUsers and virtual machines name them too, where Kustomize does not look.
  disableNameSuffixHash: true
secretGenerator:
YAML
    secret_generators
    if [[ -s $out/secrets/registry-ca.crt ]]; then
        echo 'configMapGenerator:'
        for namespace in blackfriday valkey; do
            printf '  - name: registry-ca\n    namespace: %s\n    files:\n      - ca.pem=secrets/registry-ca.crt\n' $namespace
        done
    fi
    images
    hosts
}

image_fields() {
    cat <<'YAML'
# Where images stand apart from pods.
images:
  - kind: VirtualMachine
    path: spec/template/spec/volumes[]/containerDisk/image
YAML
}

while (($# > 0)); do
    case $1 in
        --registry) registry=${2:?} ;;
        --domain) domain=${2:?} ;;
        --out) out=${2:?} ;;
        --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 64
            ;;
    esac
    shift 2
done
[[ -z $domain || $domain =~ ^[a-z0-9.-]+$ ]] || die "--domain: no domain name: $domain"
umask 077
secrets
image_fields >"$out/image-fields.yaml"
kustomization >"$out/kustomization.yaml"
