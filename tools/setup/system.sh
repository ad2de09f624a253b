# shellcheck shell=bash
# What the machine itself must have: a compiler, libraries, Java, Rust. Sourced by ./dev.
#
# Each need is probed, not looked up as a package, so that a machine that has it from elsewhere is left alone.
# Only what fails its probe is installed.

readonly OLDEST_RUST=1.95 OLDEST_JAVA=17

setup_system() {
    local purpose=$1 packages=() names=() retried
    for retried in no yes; do
        missing "$purpose"
        if ((${#names[@]} == 0)); then
            return
        fi
        if [[ $retried == yes ]] || ! has apt-get; then
            break
        fi
        say "installing: ${packages[*]}"
        apt_install "${packages[@]}"
        hash -r
    done
    die "$EX_UNAVAILABLE" "missing: ${names[*]} (in Debian: ${packages[*]})"
}

# Sets `names` and `packages` of the caller.
missing() {
    local purpose=$1
    names=() packages=()
    need "a C compiler" build-essential has cc
    need "a C++ compiler" build-essential has c++
    need make build-essential has make
    need cmake cmake has cmake
    need pkg-config pkg-config has pkg-config
    need "the headers of OpenSSL" libssl-dev has_module openssl
    need "the headers of zlib" zlib1g-dev has_module zlib
    # librdkafka includes them also where it is built without curl.
    need "the headers of curl" libcurl4-openssl-dev has_module libcurl
    need "CA certificates" ca-certificates test -d /etc/ssl/certs
    rust_is_new || missing_rust "$purpose"
    if [[ $purpose != build ]]; then
        java_is_new || missing_java
        have_kafka || need mvn maven has mvn
    fi
    if [[ $purpose == test ]]; then
        need openssl openssl has openssl
        need chromium chromium has_chromium
        have_axe || need npm npm has npm
        { have_checkers && have_clients; } || need "python3 with venv" "python3 python3-venv" has_venv
    fi
}

# need NAME PACKAGES PROBE...
need() {
    local name=$1 wanted=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        names+=("$name,")
        read -ra wanted <<<"$wanted"
        packages+=("${wanted[@]}")
    fi
}

has_module() { pkg-config --exists "$1"; }
has_venv() { python3 -c 'import ensurepip, venv'; }
has_chromium() { has chromium || has chromium-browser || has google-chrome; }

java_is_new() {
    local java=java version
    if [[ -n ${JAVA_HOME:-} && -x $JAVA_HOME/bin/java ]]; then
        java=$JAVA_HOME/bin/java
    fi
    version=$("$java" -version 2>&1) || return 1
    [[ $version =~ \"([0-9]+) ]] && ((BASH_REMATCH[1] >= OLDEST_JAVA))
}

# Debian names its Java by version and keeps one or two of them in a release.
missing_java() {
    local version package=openjdk-$OLDEST_JAVA-jre-headless
    if has apt-get; then
        apt_update
        for version in 25 21 17; do
            if [[ -n $(candidate "openjdk-$version-jre-headless") ]]; then
                package=openjdk-$version-jre-headless
            fi
        done
    fi
    need "java $OLDEST_JAVA or newer" "$package" false
}

rust_is_new() {
    local said
    said=$(cargo --version 2>/dev/null) && has rustc && at_least "$OLDEST_RUST" "$(cut -d' ' -f2 <<<"$said")"
}

# Debian's own Rust if it is new enough; stable releases carry a second, newer one (rustc-web) for their
# browsers. It is not forced onto a machine that has rustup.
missing_rust() {
    local suffix
    if ! has rustup && has apt-get; then
        apt_update
        for suffix in "" -web; do
            if at_least "$OLDEST_RUST" "$(candidate "rustc$suffix")"; then
                need "Rust" "cargo$suffix rustc$suffix rustfmt$suffix" false
                return
            fi
        done
    fi
    die "$EX_UNAVAILABLE" "Rust $OLDEST_RUST or newer is missing. With rustup (a package in newer Debian, else from" \
        "its makers' site): rustup toolchain install stable && rustup default stable"
}

# The version that apt would install, or nothing; as new as its lists are.
candidate() {
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \(.*\)/\1/p' | grep -vF '(none)' || true
}

# at_least WANTED FOUND, for dotted versions; nothing found is not enough.
at_least() { [[ -n $2 && $(printf '%s\n%s\n' "$1" "$2" | sort -V | sed -n 1p) == "$1" ]]; }

# Once in a setup, and only in one that has something to install.
apt_update() {
    if [[ -z ${apt_is_updated:-} ]]; then
        logged as_root apt-get update
        apt_is_updated=yes
    fi
}

apt_install() {
    apt_update
    logged as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# unpack FOLDER BY_HAND PACKAGE...: Debian's packages into a folder of ours; the system does not learn of them.
unpack() {
    local folder=$1 by_hand=$2 package
    shift 2
    has apt-get || die "$EX_UNAVAILABLE" "$by_hand"
    rm -rf "$folder" "$tools/apt"
    mkdir -p "$tools/apt/packages"
    apt_update
    # As ourselves and not as apt's own user, who may not write here.
    (cd "$tools/apt/packages" && apt-get -o APT::Sandbox::User= download -qq "$@" >&2) ||
        die "$EX_UNAVAILABLE" "this release does not have it. $by_hand"
    for package in "$tools"/apt/packages/*.deb; do
        dpkg-deb --extract "$package" "$folder"
    done
    rm -rf "$tools/apt"
}

# What an installer tells is only of interest if it fails.
logged() {
    if ! "$@" >"$tools/setup.log" 2>&1; then
        tail -n 30 "$tools/setup.log" >&2
        die "$EX_UNAVAILABLE" "failed: $*"
    fi
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        die "$EX_UNAVAILABLE" "neither root nor sudo, so this cannot be run: $*"
    fi
}

# Whether the marker NAME in .tools was left by the same inputs: stamped NAME FILE...
stamped() {
    local name=$1
    shift
    [[ -f $tools/$name.stamp && $(<"$tools/$name.stamp") == "$(fingerprint "$@")" ]]
}

stamp() {
    local name=$1
    shift
    fingerprint "$@" >"$tools/$name.stamp"
}

fingerprint() { cat "$@" | sha256sum; }
