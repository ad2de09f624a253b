# shellcheck shell=dash disable=SC2034
# Names and words that the scripts of the VM share.

export PATH=/usr/lib/valkey-vm/programs:/usr/sbin:/usr/bin:/sbin:/bin

# A tmpfs. Only what is in the first two outlives the power: they are disks.
readonly CONFIG=/run/config DATA=/var/lib/valkey STATE=/run/valkey
readonly CONFIG_LABEL=valkey-cfg DATA_SERIAL=data DATA_LABEL=valkey-data
readonly VALKEY_PORT=6379 READINESS_PORT=8080

say() { echo "valkey-vm: $*" >/dev/console; }

# Nothing has been started yet, so the power may go at once. The message is there for someone at the console, and the
# next boot reads the configuration again.
refuse() {
    say "REFUSED: $*"
    say "powering off in 5 seconds"
    sleep 5
    umount "$CONFIG" "$DATA" 2>/dev/null
    sync
    poweroff -f
    # poweroff may return before the machine is off.
    sleep 60
    exit 1
}

# configure [--check]: what Valkey starts from, out of the files that were on the configuration's disk.
configure() {
    local memory
    # The rest is for rewrites of the AOF and the system.
    memory=$(awk '/^MemTotal:/ { printf "%.0f", $2 * 1024 * 0.6 }' /proc/meminfo)
    blackfriday-valkey-config server --config "$STATE/config" --directory "$STATE" --data "$DATA" \
        --max-memory-bytes "$memory" "$@"
}

# wait_for SECONDS COMMAND...
wait_for() {
    local left=$1
    shift
    while ! "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}
