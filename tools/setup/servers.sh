# shellcheck shell=bash
# Kafka's jars, the servers of RabbitMQ, Valkey and Redis, an OCI registry and libfaketime, under .tools; nothing of the
# system is changed. Sourced by ./dev.
#
# crates/stack looks for them in the same order: a variable, PATH, .tools.

readonly OLDEST_VALKEY=8
readonly REGISTRY_BY_HAND="an OCI registry is wanted: zot or docker-registry on PATH, or named in BLACKFRIDAY_ZOT"
readonly FAKETIME_BY_HAND="libfaketime 0.9.10 or newer is wanted: installed as a package, or its libfaketimeMT.so.1 named in BLACKFRIDAY_LIBFAKETIME"
readonly RABBITMQ_BY_HAND="RabbitMQ 3.10 or newer is wanted: rabbitmq-server on PATH, or its home in BLACKFRIDAY_RABBITMQ_HOME"
readonly REDIS_BY_HAND="Redis 7 or newer is wanted: redis-server on PATH, or named in BLACKFRIDAY_REDIS_SERVER"
readonly VALKEY_BY_HAND="Valkey $OLDEST_VALKEY or newer is wanted: on PATH, or named in BLACKFRIDAY_VALKEY_SERVER"

have_kafka() {
    [[ -n ${BLACKFRIDAY_KAFKA_HOME:-} ]] || has kafka-server-start.sh ||
        { [[ -d $tools/kafka/libs ]] && stamped kafka "$root/tools/kafka/pom.xml"; }
}

setup_kafka() {
    if have_kafka; then
        return
    fi
    say "fetching Kafka"
    local fresh=$tools/kafka.new
    rm -rf "$fresh"
    logged mvn --quiet --batch-mode --file "$root/tools/kafka/pom.xml" \
        dependency:copy-dependencies -DoutputDirectory="$fresh/libs"
    rm -rf "$tools/kafka"
    mv "$fresh" "$tools/kafka"
    stamp kafka "$root/tools/kafka/pom.xml"
}

# Tests start Kafka so often that making this pays after ten of them. A Kafka from elsewhere is left as it is.
setup_quick_start() {
    local quick_start=$tools/kafka/quick-start sources=("$root"/tools/kafka/{pom.xml,quick-start.sh})
    if [[ ! -d $tools/kafka/libs ]] || { [[ -d $quick_start ]] && stamped quick-start "${sources[@]}"; }; then
        return
    fi
    say "preparing quick starts of Kafka"
    rm -rf "$quick_start"
    logged "$root/tools/kafka/quick-start.sh" "$tools/kafka" "$quick_start"
    stamp quick-start "${sources[@]}"
}

have_valkey() {
    [[ -n ${BLACKFRIDAY_VALKEY_SERVER:-} ]] || valkey_is_new valkey-server ||
        valkey_is_new "$tools/valkey/usr/bin/valkey-server"
}

valkey_is_new() {
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    [[ $version =~ v=([0-9]+) ]] && ((BASH_REMATCH[1] >= OLDEST_VALKEY))
}

setup_valkey() {
    if have_valkey; then
        return
    fi
    say "fetching Valkey"
    has apt-get || die "$EX_UNAVAILABLE" "$VALKEY_BY_HAND"
    rm -rf "$tools/valkey" "$tools/apt"
    mkdir -p "$tools/apt/lists/partial" "$tools/apt/sources" "$tools/apt/packages"
    download_valkey
    local package
    for package in "$tools"/apt/packages/*.deb; do
        dpkg-deb --extract "$package" "$tools/valkey"
    done
    install_libraries_of_valkey
    have_valkey || die "$EX_UNAVAILABLE" "what was fetched does not run. $VALKEY_BY_HAND"
    rm -rf "$tools/apt"
}

# From the machine's own sources if they have it, else from their backports.
download_valkey() {
    # As ourselves and not as apt's own user, who may not write here.
    local from=(-o APT::Sandbox::User=)
    apt_update
    if ! at_least "$OLDEST_VALKEY" "$(candidate valkey-server)"; then
        write_backports
        # Lists and caches of its own: the system's apt does not learn of the backports.
        from+=(
            -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$tools/apt/sources"
            -o "Dir::State::lists=$tools/apt/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        )
        logged apt-get "${from[@]}" update
    fi
    (cd "$tools/apt/packages" && apt-get "${from[@]}" download -qq valkey-server valkey-tools >&2) ||
        die "$EX_UNAVAILABLE" "neither this release nor its backports have it. $VALKEY_BY_HAND"
}

# Turns the machine's sources of its release, in both formats of sources.list(5), into sources of its backports:
# same address, same keys.
write_backports() {
    local codename file
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    for file in /etc/apt/sources.list.d/*.sources; do
        if [[ -f $file ]]; then
            backports_stanzas "$codename" <"$file" >"$tools/apt/sources/$(basename "$file")"
        fi
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        if [[ -f $file ]]; then
            backports_lines "$codename" <"$file" >"$tools/apt/sources/$(basename "$file" .list).list"
        fi
    done
}

backports_stanzas() {
    grep -v '^#' | awk -v codename="$1" '
        BEGIN { RS = ""; ORS = "\n\n"; FS = "\n" }
        $0 ~ "(^|\n)Types:[^\n]*[ \t]deb([ \t\n]|$)" && $0 ~ "(^|\n)Suites:[^\n]*[ \t]" codename "([ \t\n]|$)" {
            stanza = ""
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^Types:/) $i = "Types: deb"
                if ($i ~ /^Suites:/) $i = "Suites: " codename "-backports"
                if ($i ~ /^Components:/) $i = "Components: main"
                stanza = stanza $i (i < NF ? "\n" : "")
            }
            print stanza
        }'
}

backports_lines() {
    local options='(\[[^]]*\][[:space:]]+)?'
    sed -nE "s/^(deb[[:space:]]+$options[^[:space:]]+)[[:space:]]+$1[[:space:]].*/\1 $1-backports main/p"
}

# What valkey-tools depends on, without what only its installation as a service needs.
install_libraries_of_valkey() {
    local found libraries
    found=$(ldd "$tools/valkey/usr/bin/valkey-server") || true
    if [[ $found != *"not found"* ]]; then
        return
    fi
    libraries=$(dpkg-deb --field "$tools"/apt/packages/valkey-tools_*.deb Depends |
        tr ',' '\n' | sed -E 's/\(.*//; s/\|.*//; s/[[:space:]]//g' | grep '^lib')
    # shellcheck disable=SC2086 # one word for each package
    apt_install $libraries
}

have_rabbitmq() {
    [[ -n ${BLACKFRIDAY_RABBITMQ_HOME:-} ]] || has rabbitmq-server ||
        "$tools/rabbitmq/erlang/bin/erl" -version >/dev/null 2>&1
}

# Out of the packages, with the Erlang that belongs to it: installed, both would be services that run.
setup_rabbitmq() {
    if have_rabbitmq; then
        return
    fi
    say "fetching RabbitMQ"
    has apt-get || die "$EX_UNAVAILABLE" "$RABBITMQ_BY_HAND"
    apt_update
    local erlang fresh=$tools/rabbitmq.new
    mapfile -t erlang < <(erlang_of_rabbitmq)
    unpack "$fresh" "$RABBITMQ_BY_HAND" rabbitmq-server "${erlang[@]}"
    rm -rf "$tools/rabbitmq"
    mv "$fresh"/usr/lib/rabbitmq/lib/rabbitmq_server-* "$tools/rabbitmq"
    mv "$fresh/usr/lib/erlang" "$tools/rabbitmq/erlang"
    rm -rf "$fresh"
    # It says where Debian installs it.
    # shellcheck disable=SC2016 # for the script itself to expand
    sed -i -E 's|ROOTDIR="?/usr/lib/erlang"?$|ROOTDIR=$(cd "$(dirname "$0")/.." \&\& pwd -P)|' "$tools/rabbitmq/erlang/bin/erl"
    have_rabbitmq || die "$EX_UNAVAILABLE" "what was fetched does not run. $RABBITMQ_BY_HAND"
}

erlang_of_rabbitmq() {
    apt-cache depends --recurse --no-{recommends,suggests,conflicts,breaks,replaces,enhances} rabbitmq-server |
        grep '^erlang-'
}

have_redis() {
    [[ -n ${BLACKFRIDAY_REDIS_SERVER:-} ]] || has redis-server ||
        "$tools/redis/usr/bin/redis-server" --version >/dev/null 2>&1
}

# What counts into Valkey counts into Redis, too.
setup_redis() {
    if have_redis; then
        return
    fi
    say "fetching Redis"
    unpack "$tools/redis" "$REDIS_BY_HAND" redis-tools
    # One program under three names; this one is in the package of the service.
    ln -sf redis-check-rdb "$tools/redis/usr/bin/redis-server"
    have_redis || die "$EX_UNAVAILABLE" "what was fetched does not run. $REDIS_BY_HAND"
}

have_registry() {
    [[ -n ${BLACKFRIDAY_ZOT:-} || -n ${BLACKFRIDAY_DOCKER_REGISTRY:-} ]] || has zot || has docker-registry ||
        "$tools/registry/usr/bin/docker-registry" --version >/dev/null 2>&1
}

# Zot is in no Debian; Docker's registry is in all of them, and needs nothing but itself.
setup_registry() {
    if have_registry; then
        return
    fi
    say "fetching an OCI registry"
    unpack "$tools/registry" "$REGISTRY_BY_HAND" docker-registry
    have_registry || die "$EX_UNAVAILABLE" "what was fetched does not run. $REGISTRY_BY_HAND"
}

have_faketime() {
    [[ -n ${BLACKFRIDAY_LIBFAKETIME:-} ]] ||
        compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null ||
        compgen -G "$tools/faketime/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null
}

# Faults put a program's clock wrong.
setup_faketime() {
    if have_faketime; then
        return
    fi
    say "fetching libfaketime"
    unpack "$tools/faketime" "$FAKETIME_BY_HAND" libfaketime
    have_faketime || die "$EX_UNAVAILABLE" "what was fetched has no such library. $FAKETIME_BY_HAND"
}
