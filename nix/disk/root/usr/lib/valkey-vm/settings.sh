# shellcheck shell=dash
# Reads and checks the files of the configuration and writes what Valkey and the services start from. Sourced by start.
#
# Every value is of letters, digits and a few marks, so it can stand unquoted in the files that are written here.
# Secrets go through pipes and files of mode 600 in a tmpfs; never through arguments or to the console.

readonly WORD='A-Za-z0-9._-' SECRET='A-Za-z0-9._~+/=-'

read_settings() {
    local password role
    password=$(secret password)
    role=$(value role)
    case $role in
        primary) ;;
        replica) required primary ;;
        *) refuse "configuration: role is neither primary nor replica" ;;
    esac
    write_valkey "$password"
    write_users "$password"
    write_role "$role"
    say "role $role, announced as $(announced), $(sentinels | wc -l) Sentinels"
}

write_valkey() {
    {
        cat /usr/lib/valkey-vm/valkey.conf
        # Before the disk of the AOF or the machine's memory is full, writes are refused with an error.
        awk '/^MemTotal:/ { printf "maxmemory %dkb\n", $2 * 0.6 }' /proc/meminfo
        echo "masterauth $1"
        if present announce; then
            endpoint "$(value announce)" "$VALKEY_PORT" announce |
                while read -r host port; do printf 'replica-announce-ip %s\nreplica-announce-port %s\n' "$host" "$port"; done
        fi
    } >"$STATE/base.conf"
}

# Whoever is not named in users.acl has the password and may do everything. The readiness port has a user of its own,
# with a new password at each boot.
write_users() {
    local probe
    probe=$(head -c 24 /dev/urandom | sha256sum | cut -c 1-48)
    {
        echo "user default on sanitize-payload #$(digest "$1") ~* &* +@all"
        echo "user readiness on #$(digest "$probe") resetkeys resetchannels -@all +ping +info"
        if present users.acl; then
            acl_lines
        fi
    } >"$STATE/users.acl"
    echo "$probe" >"$STATE/probe"
}

acl_lines() {
    if grep -v -E '^(#.*|[[:space:]]*)$' "$CONFIG/users.acl" |
        grep -v -q -E "^user [$WORD]+( [[:graph:]]+)+\$"; then
        refuse "configuration: users.acl holds a line that is not: user NAME RULE..."
    fi
    if grep -q -E '^user (default|readiness) ' "$CONFIG/users.acl"; then
        refuse "configuration: users.acl may not define default or readiness"
    fi
    grep -E '^user ' "$CONFIG/users.acl"
}

write_role() {
    local line
    echo "$1" >"$STATE/role"
    : >"$STATE/primary"
    if present primary; then
        endpoint "$(value primary)" "$VALKEY_PORT" primary >"$STATE/primary"
    fi
    : >"$STATE/sentinels"
    if present sentinels; then
        required announce
        required sentinel-group
        word sentinel-group >"$STATE/sentinel-group"
        if present sentinel-password; then
            secret sentinel-password >"$STATE/sentinel-password"
        fi
        sentinels | while read -r line; do endpoint "$line" "$SENTINEL_PORT" sentinels; done >"$STATE/sentinels"
    fi
}

sentinels() {
    if present sentinels; then
        grep -v '^[[:space:]]*$' "$CONFIG/sentinels"
    fi
}

announced() { if present announce; then value announce; else echo "its own address"; fi; }

# endpoint HOST[:PORT] DEFAULT_PORT FILE: prints "HOST PORT".
endpoint() {
    local host=${1%:*} port=$2
    case $1 in *:*) port=${1##*:} ;; esac
    case $host in '' | -* | *[!$WORD]*) refuse "configuration: $3 is not HOST or HOST:PORT" ;; esac
    case $port in '' | *[!0-9]* | ??????*) refuse "configuration: $3 has no valid port" ;; esac
    [ "$port" -ge 1 ] && [ "$port" -le 65535 ] || refuse "configuration: $3 has no valid port"
    echo "$host $port"
}

secret() {
    local text
    text=$(value "$1")
    case $text in *[!$SECRET]*) refuse "configuration: $1 may hold only letters, digits and . _ ~ + / = -" ;; esac
    [ "${#text}" -ge 16 ] && [ "${#text}" -le 256 ] || refuse "configuration: $1 must have 16 to 256 characters"
    echo "$text"
}

word() {
    local text
    text=$(value "$1")
    case $text in *[!$WORD]*) refuse "configuration: $1 may hold only letters, digits and . _ -" ;; esac
    echo "$text"
}

# The one line of a file; a newline at its end is not needed.
value() {
    required "$1"
    [ "$(grep -c '' "$CONFIG/$1")" = 1 ] || refuse "configuration: $1 must be one line"
    cat "$CONFIG/$1"
}

required() { present "$1" || refuse "configuration: the file $1 is missing or empty"; }
present() { [ -s "$CONFIG/$1" ]; }
digest() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
