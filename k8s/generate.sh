#!/usr/bin/env bash
# Writes generated/, the Kustomize component that every overlay takes in: secrets, made once and kept, and the images by
# digest; and those that the folders of operators take in. Nothing of it belongs into the repository. README.md describes the
# files.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/generated
registry=
domain=
webhook=
back=
# Of each Secret, namespace/name: what is in it, a line each of key and hash.
declare -A contents=()

usage() {
    cat <<'USAGE'
usage: k8s/generate.sh [--registry HOST[:PORT]] [--domain NAME] [--alert-webhook FILE] [--rollback] [--out DIRECTORY]

  --registry   let the cluster pull from there as the user BLACKFRIDAY_REGISTRY_USERNAME (blackfriday without it) with the
               password in the file BLACKFRIDAY_REGISTRY_PASSWORD_FILE; BLACKFRIDAY_REGISTRY_CA names its authority's
               certificate, if it has one of its own
  --domain     NAME is the gateway's, dashboard.NAME, grafana.NAME and relay.NAME the others', instead of blackfriday.test
  --alert-webhook   FILE has the https:// address to which alerts are sent; for components/alertmanager
  --rollback   take the images that were in use before the last change of them; once more goes forth again
  --out        instead of k8s/generated

Images are those of images/kustomization.yaml in that directory, which `blackfriday image push --kustomize` and `image mirror`
write.
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

# certificate NAME serverAuth|clientAuth DNS...: by our authority, for two years; made again in its last month, and when it
# lacks a name.
certificate() {
    local name=$1 usage=$2 file=$out/secrets/$1 names
    shift 2
    if openssl x509 -checkend 2592000 -noout -in "$file.crt" >/dev/null 2>&1 && has_names "$file.crt" "$@"; then
        return
    fi
    names=$(printf ',DNS:%s' "$@")
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$file.key" 2>/dev/null |
        openssl x509 -req -CA "$out/secrets/ca.crt" -CAkey "$out/secrets/ca.key" -days 730 -out "$file.crt" \
            -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "${names#,}" "$usage") 2>/dev/null
}

has_names() {
    local certificate=$1 known name
    shift
    known=$(openssl x509 -ext subjectAltName -noout -in "$certificate" | tr -d ' ')
    for name in "$@"; do
        [[ ",${known##*$'\n'}," == *",DNS:$name,"* ]] || return 1
    done
}

# What a consumer's steps are made of, of whatever topic, and what Grafana asks for.
readonly counts='+ping +role +info +multi +exec +fcall +function|load +type +exists +get +set +hget +hmget +hgetall +hset +hdel +hlen +zadd +zcard +zmscore +zrange +zrem +pexpireat'
readonly shows='+ping +info +command +client|setname +scan +get +hget +hgetall +hlen +ttl +zcard +zrange +zrevrange'

# Besides admin.
readonly kafka_users=(writer consumer clima-writer clima-consumer verify redrive)

# The least that each client of Valkey does: then its ACL LOG stays empty.
valkey_users() {
    local shown='posicion:* ventas:global:* reportes:total ranking:* stats:* historial:precio:* serie:ventas serie:precio:* country_counts total_messages'
    local read_only write_only
    read -ra read_only <<<"$shown"
    read -ra write_only <<<"$shown ultimo:* detenido:* empezado:* idempotencia:* esquema reportes:total:* clima:*"
    echo "user consumer on #$(hash_of valkey-consumer) resetchannels -@all $counts +time +zremrangebyrank +zremrangebyscore ${write_only[*]/#/\~}"
    echo "user dashboard on #$(hash_of valkey-dashboard) resetchannels -@all +ping +role +multi +exec +get +hgetall +zrange ${read_only[*]/#/%R\~}"
    echo "user verify on #$(hash_of valkey-verify) resetchannels -@all +ping +role +multi +exec +scan +type +pexpiretime +get +hgetall +hscan +zrange ${write_only[*]/#/%R\~}"
    echo "user grafana on #$(hash_of valkey-grafana) resetchannels -@all $shows ${read_only[*]/#/%R\~} %R~reportes:total:* %R~clima:*"
    weather_users clima-consumer valkey-clima-consumer
    echo "user sentinel on #$(hash_of valkey-sentinel) resetkeys resetchannels &__sentinel__:* -@all +client|kill +client|setname +config|rewrite +exec +failover +hello +info +multi +ping +publish +replicaof +role +script|kill +slaveof +subscribe"
}

# Weather alone, for who counts and who looks at it.
weather_users() {
    local keys='posicion:clima ultimo:clima detenido:clima empezado:clima idempotencia:clima:* esquema clima:* country_counts total_messages'
    read -ra keys <<<"$keys"
    echo "user $1 on #$(hash_of "$2") resetchannels -@all $counts ${keys[*]/#/\~}"
}

redis_users() {
    local shown='posicion:clima country_counts total_messages'
    local stored="$shown ultimo:clima detenido:clima empezado:clima idempotencia:clima:* esquema clima:*"
    read -ra shown <<<"$shown"
    read -ra stored <<<"$stored"
    echo "user default on sanitize-payload #$(hash_of redis-default) ~* &* +@all"
    # The probe's; a client without a password may do that much.
    echo 'user readiness on nopass resetkeys resetchannels -@all +ping +info'
    weather_users consumer redis-consumer
    echo "user dashboard on #$(hash_of redis-dashboard) resetchannels -@all +ping +role +multi +exec +get +hgetall %R~country_counts %R~total_messages"
    echo "user verify on #$(hash_of redis-verify) resetchannels -@all +ping +role +multi +exec +scan +type +pexpiretime +get +hgetall +hscan +zrange ${stored[*]/#/%R\~}"
    echo "user grafana on #$(hash_of redis-grafana) resetchannels -@all $shows ${shown[*]/#/%R\~} %R~clima:*"
}

# As RabbitMQ stores a password: four bytes of salt, and the SHA-256 of salt and password. The salt is made of the password,
# so that the same one is written in the same way each time.
rabbitmq_hash() {
    local salt digest
    salt=$(printf 'salt %s' "$(cat "$out/secrets/$1")" | sha256sum | cut -c 1-8)
    digest=$({ bytes "$salt" && cat "$out/secrets/$1"; } | sha256sum | cut -c 1-64)
    bytes "$salt$digest" | base64 -w 0
}

# Of hexadecimal digits.
bytes() { printf %b "$(printf %s "$1" | sed 's/../\\x&/g')"; }

# The least that each client of RabbitMQ does. `configure` is to make and delete streams.
rabbitmq_definitions() {
    local clima='^clima-(queue|[0-9]+)$' buried='^clima\\.dlq-[0-9]+$' both='^clima(\\.dlq)?-(queue|[0-9]+)$' none='^$'
    local all='^(ventas|clima)(\\.dlq)?-(queue|[0-9]+)$'
    printf '{\n  "vhosts": [{"name": "/"}],\n  "users": [\n'
    rabbitmq_user admin administrator ,
    rabbitmq_user writer '' ,
    rabbitmq_user consumer '' ,
    rabbitmq_user verify '' ,
    rabbitmq_user redrive ''
    printf '  ],\n  "permissions": [\n'
    rabbitmq_permission admin "$all" "$none" "$none" ,
    rabbitmq_permission writer "$none" "$clima" "$none" ,
    rabbitmq_permission consumer "$none" "$buried" "$clima" ,
    rabbitmq_permission verify "$none" "$none" "$both" ,
    rabbitmq_permission redrive "$none" "$clima" "$both"
    printf '  ]\n}\n'
}

rabbitmq_user() {
    printf '    {"name": "%s", "password_hash": "%s", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "%s"}%s\n' \
        "$1" "$(rabbitmq_hash "rabbitmq-$1")" "$2" "${3:-}"
}

# rabbitmq_permission USER CONFIGURE WRITE READ [COMMA]
rabbitmq_permission() {
    printf '    {"user": "%s", "vhost": "/", "configure": "%s", "write": "%s", "read": "%s"}%s\n' "$1" "$2" "$3" "$4" "${5:-}"
}

# As Kafka's own tool reads it. Told on a command line, a password would be in the log of a failure.
scram() { printf 'SCRAM-SHA-512=password=%s\n' "$(cat "$out/secrets/kafka-$1")" >"$out/secrets/kafka-$1.scram"; }

secrets() {
    local name suffix names=()
    mkdir -p "$out/secrets"
    chmod 700 "$out/secrets"
    for name in kafka-admin "${kafka_users[@]/#/kafka-}" \
        valkey-{default,consumer,clima-consumer,dashboard,verify,grafana,sentinel} sentinel-peer \
        rabbitmq-{admin,writer,consumer,verify,redrive} redis-{default,consumer,dashboard,verify,grafana} grafana-admin; do
        once "$name" password
    done
    for name in "${kafka_users[@]}"; do scram "$name"; done
    authority
    for suffix in svc svc.cluster.local; do
        names+=("kafka.kafka.$suffix" "*.kafka.kafka.$suffix" "blackfriday-kafka-bootstrap.kafka.$suffix"
            "*.blackfriday-kafka-brokers.kafka.$suffix")
    done
    certificate kafka serverAuth "${names[@]}"
    cat "$out/secrets/kafka.key" "$out/secrets/kafka.crt" >"$out/secrets/kafka.pem"
    certificate writer serverAuth {writers,kafka-writer,rabbit-writer}.blackfriday.svc.cluster.local
    names=(clima-rabbit.rabbitmq.svc clima-rabbit.rabbitmq.svc.cluster.local)
    # RabbitMQ names its nodes without the rest of the domain.
    for suffix in '' .svc .svc.cluster.local; do names+=("*.clima-rabbit-nodes.rabbitmq$suffix"); done
    certificate rabbitmq serverAuth "${names[@]}"
    certificate relay clientAuth relay.blackfriday.svc.cluster.local
    certificate gateway clientAuth gateway.blackfriday.svc.cluster.local
    valkey_users >"$out/secrets/users.acl"
    redis_users >"$out/secrets/redis-users.acl"
    rabbitmq_definitions >"$out/secrets/rabbitmq-definitions.json"
    printf 'sentinel-%d.sentinel.valkey.svc.cluster.local:26379\n' 0 1 2 >"$out/secrets/sentinels"
    if [[ -n $webhook ]]; then printf %s "$(head -n 1 "$webhook")" >"$out/secrets/alert-webhook"; fi
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
    contents["$namespace/$name"]=$(for entry in "$@"; do content "$entry"; done)
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

# content FILE-OR-LITERAL: its key, and the hash of its value.
content() {
    if [[ $1 == *:* ]]; then
        printf '%s %s\n' "${1%%:*}" "$(printf %s "${1#*:}" | sha256sum | cut -d ' ' -f 1)"
    else
        printf '%s %s\n' "${1%%=*}" "$(hash_of "${1#*=secrets/}")"
    fi
}

secret_generators() {
    local ca=ca.crt=secrets/ca.crt namespace name kafka=() n=.valkey.svc.cluster.local
    local vm=(password=secrets/valkey-default users.acl=secrets/users.acl sentinels=secrets/sentinels sentinel-group:blackfriday)
    secret blackfriday gateway-credentials tls.crt=secrets/gateway.crt tls.key=secrets/gateway.key $ca
    secret blackfriday relay-credentials tls.crt=secrets/relay.crt tls.key=secrets/relay.key $ca
    secret blackfriday gateway-kafka-credentials kafka-password=secrets/kafka-writer $ca
    secret blackfriday writer-credentials kafka-password=secrets/kafka-writer tls.crt=secrets/writer.crt tls.key=secrets/writer.key $ca
    secret blackfriday consumer-credentials kafka-password=secrets/kafka-consumer valkey-password=secrets/valkey-consumer $ca
    secret blackfriday kafka-writer-credentials kafka-password=secrets/kafka-clima-writer tls.crt=secrets/writer.crt \
        tls.key=secrets/writer.key $ca
    secret blackfriday rabbit-writer-credentials rabbitmq-password=secrets/rabbitmq-writer tls.crt=secrets/writer.crt \
        tls.key=secrets/writer.key $ca
    secret blackfriday kafka-consumer-credentials kafka-password=secrets/kafka-clima-consumer redis-password=secrets/redis-consumer $ca
    secret blackfriday rabbit-consumer-credentials rabbitmq-password=secrets/rabbitmq-consumer \
        valkey-password=secrets/valkey-clima-consumer $ca
    secret blackfriday dashboard-credentials valkey-password=secrets/valkey-dashboard redis-password=secrets/redis-dashboard
    secret blackfriday verify-credentials kafka-password=secrets/kafka-verify rabbitmq-password=secrets/rabbitmq-verify \
        valkey-password=secrets/valkey-verify redis-password=secrets/redis-verify $ca
    secret blackfriday redrive-credentials kafka-password=secrets/kafka-redrive rabbitmq-password=secrets/rabbitmq-redrive $ca
    for name in "${kafka_users[@]}"; do kafka+=("$name=secrets/kafka-$name" "$name.scram=secrets/kafka-$name.scram"); done
    secret kafka kafka-credentials admin=secrets/kafka-admin "${kafka[@]}" tls.crt=secrets/kafka.crt tls.key=secrets/kafka.key \
        kafka.pem=secrets/kafka.pem $ca
    secret valkey valkey-0 "${vm[@]}" role:primary "announce:valkey-0$n"
    secret valkey valkey-1 "${vm[@]}" role:replica "announce:valkey-1$n" "primary:valkey-0$n"
    secret valkey sentinel password=secrets/valkey-sentinel peer-password=secrets/sentinel-peer \
        sentinels=secrets/sentinels user:sentinel sentinel-group:blackfriday "primary:valkey-0$n"
    secret rabbitmq rabbitmq-credentials definitions.json=secrets/rabbitmq-definitions.json tls.crt=secrets/rabbitmq.crt \
        tls.key=secrets/rabbitmq.key $ca
    secret rabbitmq rabbitmq-setup rabbitmq-password=secrets/rabbitmq-admin $ca
    secret redis redis users.acl=secrets/redis-users.acl
    secret monitoring grafana-credentials admin-password=secrets/grafana-admin valkey-password=secrets/valkey-grafana \
        redis-password=secrets/redis-grafana
    if [[ -s $out/secrets/alert-webhook ]]; then secret monitoring alertmanager-receiver url=secrets/alert-webhook; fi
    if [[ -s $out/secrets/pull.json ]]; then
        for namespace in blackfriday kafka monitoring rabbitmq redis valkey; do
            secret $namespace registry-pull .dockerconfigjson=secrets/pull.json
            printf '    type: kubernetes.io/dockerconfigjson\n'
        done
    fi
}

# What is in use now is kept when other images come, so that there is a way back.
keep_images() {
    local now=$out/images/kustomization.yaml used=$out/images/used.yaml before=$out/images/before.yaml
    if [[ -n $back ]]; then
        [[ -s $before ]] || die "--rollback: no other images were in use before"
        cp "$before" "$now"
    fi
    [[ -s $now ]] || return 0
    if [[ -s $used ]] && ! cmp --silent "$now" "$used"; then mv "$used" "$before"; fi
    cp "$now" "$used"
}

version() { [[ ! -e $here/../Cargo.toml ]] || sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../Cargo.toml"; }

revision() { git -C "$here" rev-parse --short=12 HEAD 2>/dev/null || true; }

# What these manifests are of. On the objects, not on their pods, which a label would replace.
version_label() {
    local version
    version=$(version)
    if [[ -n $version ]]; then
        printf 'labels:\n  - pairs:\n      app.kubernetes.io/version: "%s"\n' "${version//+/_}"
    fi
}

# On one object only: on all, each commit would change them all.
revision_label() {
    local revision
    revision=$(revision)
    if [[ -n $revision ]]; then
        printf '  - target: {kind: Namespace, name: blackfriday}\n    patch: |\n'
        printf '      {apiVersion: v1, kind: Namespace, metadata: {name: any, labels: {blackfriday/revision: "%s"}}}\n' "$revision"
    fi
}

# The same for Prometheus, as labels of a target that is Prometheus itself: it reads the file again when it changes. A rollback
# has the revision of now and images of before.
deployment() {
    printf '[{"targets": ["localhost:9090"], "labels": {"version": "%s", "revision": "%s", "images": "%s"}}]\n' \
        "$(version)" "$(revision)" "$(images 2>/dev/null | sha256sum | cut -c 1-12)"
}

# What was pushed, word for word: a component of its own could not say where a virtual machine names its image.
images() {
    local line taken=true
    [[ -s $out/images/kustomization.yaml ]] || return 0
    while IFS= read -r line; do
        if [[ $line =~ ^'  - name: "'(.*)'"'$ ]]; then taken=$(is_named "${BASH_REMATCH[1]}"); fi
        if $taken; then printf '%s\n' "$line"; fi
    done < <(sed -n '/^images:/,$p' "$out/images/kustomization.yaml")
}

# is_named IMAGE: false for a copy of what no manifest names any more. An older release would take the place of a newer one.
is_named() {
    local source
    source=$(copy_of "$1")
    if [[ -z $source ]] || names "$source" base components overlays operators; then
        echo true
    else
        echo "generate: $1 is taken from its maker: the manifests name another release than was copied (deploy --mirror)" >&2
        echo false
    fi
}

# copy_of IMAGE: what its copy in our registry is of, by tag or digest; nothing without a copy.
copy_of() { [[ ! -s $out/images/mirrored ]] || sed -n "s|^$1 ||p" "$out/images/mirrored"; }

# names SOURCE FOLDER...: whether an image of these folders is that one, to its last digit. Operators have images in variables,
# too. What a release names does not count: our own folders name it by its digest.
names() {
    local source=${1//./\\.}
    shift
    grep -qrE --exclude=release.yaml -e "(image|value): $source\$" -- "${@/#/$here/}"
}

# What operators/NAME takes in: images out of our registry, if they were copied, and the password for them.
operators() {
    operator strimzi kafka '      - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: STRIMZI_IMAGE_PULL_SECRETS, value: operator-registry-pull}}'
    operator rabbitmq rabbitmq-system
    operator kubevirt kubevirt
    # Not before its operator is there, to which it tells the Secret. KubeVirt then holds the machines' image on every node.
    component kubevirt-cr
    if is_copied kubevirt && [[ -s $out/secrets/pull.json ]]; then
        printf 'patches:\n  - target: {kind: KubeVirt}\n    patch: |\n      [{"op": "add", "path": "/spec/imagePullSecrets", "value": [{"name": "operator-registry-pull"}]}]\n' \
            >>"$out/operators/kubevirt-cr/kustomization.yaml"
    fi
}

# operator NAME NAMESPACE [PATCH]: with the patch of its Deployment, if it has to be told the Secret.
operator() {
    local file=$out/operators/$1/kustomization.yaml
    component "$1"
    is_copied "$1" || return 0
    images >>"$file"
    [[ -s $out/secrets/pull.json ]] || return 0
    cp "$out/secrets/pull.json" "$out/operators/$1"
    cat >>"$file" <<YAML
generatorOptions:
  disableNameSuffixHash: true
secretGenerator:
  - name: operator-registry-pull
    namespace: $2
    type: kubernetes.io/dockerconfigjson
    files:
      - .dockerconfigjson=pull.json
patches:
  - target: {kind: ServiceAccount}
    patch: |
      [{"op": "add", "path": "/imagePullSecrets", "value": [{"name": "operator-registry-pull"}]}]
YAML
    if [[ -n ${3-} ]]; then printf '  - target: {kind: Deployment}\n    patch: |\n%s\n' "$3" >>"$file"; fi
}

# Whether an image of this operator has a copy.
is_copied() {
    local name source
    [[ -s $out/images/mirrored ]] || return 1
    while read -r name source; do
        if names "$source" "operators/$1"; then return 0; fi
    done <"$out/images/mirrored"
    return 1
}

component() {
    mkdir -p "$out/operators/$1"
    image_fields >"$out/operators/$1/image-fields.yaml"
    printf '# By k8s/generate.sh. Not for the repository.\napiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nconfigurations:\n  - image-fields.yaml\n' \
        >"$out/operators/$1/kustomization.yaml"
}

# The hosts of whatever lets traffic in; a target that an overlay does not have is passed over.
hosts() {
    local name host
    [[ -n $domain ]] || return 0
    for name in gateway dashboard grafana relay-open; do
        host=${name%-open}.$domain
        [[ $name != gateway ]] || host=$domain
        printf '  - target: {kind: Ingress, name: %s}\n    patch: '\''[{"op": "replace", "path": "/spec/rules/0/host", "value": "%s"}]'\''\n' "$name" "$host"
        printf '  - target: {kind: HTTPRoute, name: %s}\n    patch: '\''[{"op": "replace", "path": "/spec/hostnames/0", "value": "%s"}]'\''\n' "$name" "$host"
        printf '  - target: {kind: Certificate, name: %s}\n    patch: '\''[{"op": "replace", "path": "/spec/dnsNames/0", "value": "%s"}]'\''\n' "$name" "$host"
    done
}

# The dashboards' link to the page, which is a text in a file of theirs. Those that components/grafana-redis adds to the same
# ConfigMap are known by its label.
links() {
    local target
    [[ -n $domain ]] || return 0
    target='kind: ConfigMap, namespace: monitoring, name: grafana-dashboards'
    linked "$target" "$here/components/grafana/dashboards"
    linked "$target, labelSelector: blackfriday/dashboards=redis" "$here/components/grafana-redis/dashboards"
}

# linked TARGET DIRECTORY
linked() {
    local file
    printf '  - target: {%s}\n    patch: |\n      apiVersion: v1\n      kind: ConfigMap\n      data:\n' "$1"
    for file in "$2"/*.json; do
        printf '        %s: |\n' "$(basename "$file")"
        sed -e "s|//dashboard\\.blackfriday\\.test/|//dashboard.$domain/|" -e 's/^/          /' "$file"
    done
    # Last, because a patch loses its last newline.
    printf '      metadata: {name: any}\n'
}

# restarts KIND NAMESPACE WORKLOADS SECRET [KEY...]: pods that are replaced when what they read of the Secret changes. Of the whole
# Secret, or of these keys.
restarts() {
    local kind=$1 namespace=$2 workloads=$3 secret=$4 read
    shift 4
    read=${contents["$namespace/$secret"]-}
    [[ -n $read ]] || return 0
    if (($# > 0)); then read=$(for key in "$@"; do grep "^${key//./\\.} " <<<"$read"; done); fi
    read=$(LC_ALL=C sort <<<"$read" | sha256sum | cut -c 1-16)
    local annotation="metadata: {annotations: {blackfriday/secret-$secret: \"$read\"}}" spec
    spec="template: {$annotation}"
    [[ $kind != RabbitmqCluster ]] || spec="override: {statefulSet: {spec: {$spec}}}"
    printf '  - target: {kind: %s, namespace: %s, name: "%s"}\n    patch: |\n' "$kind" "$namespace" "$workloads"
    printf '      {apiVersion: any, kind: %s, metadata: {name: any}, spec: {%s}}\n' "$kind" "$spec"
}

# What is read by a process that looks at it once. Virtual machines are left out: they are restarted by hand.
all_restarts() {
    local name
    for name in gateway relay kafka-writer rabbit-writer consumer kafka-consumer rabbit-consumer dashboard; do
        restarts Deployment blackfriday "$name" "$name-credentials"
    done
    restarts Deployment blackfriday gateway gateway-kafka-credentials
    restarts Deployment blackfriday relay-open relay-credentials
    restarts Deployment blackfriday 'writer-[ab]' writer-credentials
    restarts Deployment monitoring grafana grafana-credentials
    restarts Deployment monitoring alertmanager alertmanager-receiver
    restarts Deployment blackfriday 'locust-.*' registry-pull
    restarts StatefulSet kafka kafka kafka-credentials admin ca.crt kafka.pem
    restarts StatefulSet rabbitmq clima-rabbit-server rabbitmq-credentials
    restarts RabbitmqCluster rabbitmq clima-rabbit rabbitmq-credentials
    restarts StatefulSet redis redis redis
    restarts StatefulSet valkey sentinel sentinel
    restarts StatefulSet valkey valkey valkey-0
    restarts StatefulSet valkey valkey valkey-1
}

# The workload that was pushed, by digest, for who sends from inside of the cluster.
workload() {
    local variables
    [[ -s $out/images/workload ]] || return 0
    variables="{name: BLACKFRIDAY_WORKLOAD, value: \"$(head -n 1 "$out/images/workload")\"}"
    if [[ -s $out/secrets/registry-ca.crt ]]; then
        variables+=', {name: BLACKFRIDAY_REGISTRY_CA, value: /etc/blackfriday/registry/ca.pem}'
    fi
    printf '  - target: {kind: Deployment, namespace: blackfriday, name: "locust-.*"}\n    patch: |\n'
    printf '      {apiVersion: any, kind: Deployment, metadata: {name: any}, spec: {template: {spec: {containers: [{name: locust, env: [%s]}]}}}}\n' "$variables"
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
    printf 'configMapGenerator:\n  - name: deployment\n    namespace: monitoring\n    files:\n      - deployment.json\n'
    if [[ -s $out/secrets/registry-ca.crt ]]; then
        for namespace in blackfriday valkey; do
            printf '  - name: registry-ca\n    namespace: %s\n    files:\n      - ca.pem=secrets/registry-ca.crt\n' $namespace
        done
    fi
    images
    version_label
    echo 'patches:'
    revision_label
    all_restarts
    workload
    hosts
    links
}

image_fields() {
    cat <<'YAML'
# Where images stand apart from pods, and in what operators are told.
images:
  - kind: Deployment
    path: spec/template/spec/containers[]/env[]/value
  - kind: Kafka
    path: spec/kafka/image
  - kind: VirtualMachine
    path: spec/template/spec/volumes[]/containerDisk/image
  - kind: RabbitmqCluster
    path: spec/image
YAML
}

while (($# > 0)); do
    case $1 in
        --rollback)
            back=true
            shift
            continue
            ;;
        --registry) registry=${2:?} ;;
        --domain) domain=${2:?} ;;
        --alert-webhook) webhook=${2:?} ;;
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
keep_images
image_fields >"$out/image-fields.yaml"
deployment >"$out/deployment.json"
kustomization >"$out/kustomization.yaml"
operators
