#!/usr/bin/env bash
# Boots the disk of the Valkey VM under QEMU, alone and as a pair, and refuses it what it needs. See docs/disk.md.
# With --disk FILE the disk is kept there, and nothing is booted.
#
# Nothing needs root or KVM. Everything listens on loopback, on free ports, and is gone at the end.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$root/.tools/disk
PATH=$PATH:/usr/sbin:/sbin
# Seconds for any one thing to happen. An emulated processor on a busy machine is slow.
limit=${BLACKFRIDAY_DISK_TEST_LIMIT_SECONDS:-300}
kept=
password=a.password-of-this_test~only
sentinel=

case ${1:-} in
    '') ;;
    --disk) kept=${2:?--disk FILE: where the disk is kept} ;;
    *)
        echo "usage: tools/disk-test/run.sh [--disk FILE]" >&2
        exit 64
        ;;
esac

work=$(mktemp -d)
mkdir -p "$cache"

say() { printf 'disk-test: %4d s  %s\n' "$SECONDS" "$*" >&2; }

fail() {
    local log
    say "FAILED: $*"
    for log in "$work"/*/console.log; do
        if [[ -e $log ]]; then
            printf -- '--- %s\n' "${log#"$work"/}" >&2
            tail -n 40 "$log" | tr -d '\r' >&2
        fi
    done
    exit 1
}

# shellcheck source=tools/disk-test/disk.sh
source "$root/tools/disk-test/disk.sh"
# shellcheck source=tools/disk-test/vm.sh
source "$root/tools/disk-test/vm.sh"

clean_up() {
    local pid
    for pid in "${pids[@]}" $sentinel; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# machine NAME ROLE [FILE=TEXT...]: a new VM, whose data disk is blank.
machine() {
    local home=$work/$1 setting
    mkdir -p "$home/config"
    truncate -s 256M "$home/data.raw"
    printf '%s' "$password" >"$home/config/password"
    echo "$2" >"$home/config/role"
    for setting in "${@:3}"; do printf '%s\n' "${setting#*=}" >"$home/config/${setting%%=*}"; done
}

# expect TEXT COMMAND...: what the command prints holds the text.
expect() {
    local printed
    printed=$("${@:2}")
    [[ $printed == *"$1"* ]] || fail "expected \"$1\" of: ${*:2} but got: $printed"
}

answers() { [[ $(ask "$2" "AUTH $password" "${@:3}") == *"$1"* ]]; }

boot_until_ready() {
    local from=$SECONDS
    vm_start "$1"
    until_true "$1 is ready" is_ready_or_dead "$1"
    running "$1" || fail "$1 ended at its boot"
    say "$1: ready after $((SECONDS - from)) s"
}
is_ready_or_dead() { is_ready "$1" || stopped "$1"; }

power_off() {
    local from=$SECONDS
    vm_power_off "$1"
    said "$1" "ready to exit, bye bye" || fail "$1: Valkey did not end by itself"
    said "$1" "data disk unmounted" || fail "$1: the data disk was not unmounted"
    if said "$1" "$password"; then fail "$1: the password is on the console"; fi
    say "$1: off by ACPI after $((SECONDS - from)) s"
}

a_write_outlives_the_power() {
    machine alone primary 'users.acl=user reader on >reader-of-this-test ~ventas:* -@all +get'
    boot_until_ready alone
    said alone "formatting it, this once" || fail "a blank disk was not formatted"
    expect NOAUTH ask alone "GET ventas:total"
    expect WRONGPASS ask alone "AUTH not-the-password-at-all"
    expect "+OK" ask alone "AUTH $password" "SET ventas:total 17"
    expect ":1000" ask alone "AUTH $password" \
        "EVAL \"for i=1,1000 do redis.call('RPUSH','ventas:lista',i) end return redis.call('LLEN','ventas:lista')\" 0"
    power_off alone
    expect "User:  6379" debugfs -R "stat appendonlydir" "$work/alone/data.raw" 2>/dev/null
    boot_until_ready alone
    if said alone formatting; then fail "the data disk was formatted twice"; fi
    answers $'\n17\n' alone "GET ventas:total" || fail "what was written is lost"
    answers ":1000" alone "LLEN ventas:lista" || fail "what was written is lost"
    expect $'\n17\n' ask alone "AUTH reader reader-of-this-test" "GET ventas:total"
    expect NOPERM ask alone "AUTH reader reader-of-this-test" "SET ventas:total 18"
    power_off alone
}

# The guests reach each other's forwarded ports at 10.0.2.2, which is this machine's loopback.
a_replica_follows() {
    machine first primary
    boot_until_ready first
    answers "+OK" first "SET before 1" || fail "first does not take a write"
    machine second replica "primary=10.0.2.2:${ports["first valkey"]}"
    : >"$work/second/config.vfat"
    boot_until_ready second
    answers $'\n1\n' second "GET before" || fail "the replica did not get what was there"
    answers "+OK" first "SET after 2" || fail "first does not take a write"
    until_true "the replica gets a write" answers $'\n2\n' second "GET after"
    answers READONLY second "SET after 3" || fail "the replica takes writes"
    answers "connected_slaves:1" first "INFO replication" || fail "the primary does not see its replica"
    pull_the_plug_while_writing first
    until_true "the replica without a primary is not ready" is_not_ready second
    say "second: not ready without its primary"
    boot_until_ready first
    (($(written first) >= durable)) || fail "$(written first) is left of $durable writes that were older than 3 s"
    say "first: back with $(written first) of $acknowledged writes; $durable were due"
}

# Sets `acknowledged` and `durable`: what was older than 3 s. An AOF with everysec is late by 2 s at the most.
pull_the_plug_while_writing() {
    local from=$SECONDS
    durable=0 acknowledged=0
    while ((SECONDS - from < 6)); do
        acknowledged=$(ask "$1" "AUTH $password" "INCR written" | sed -n 's/^://p')
        [[ -n $acknowledged ]] || fail "$1 does not take a write"
        if ((SECONDS - from < 2)); then durable=$acknowledged; fi
    done
    vm_kill "$1"
}

written() { ask "$1" "AUTH $password" "GET written" | sed -n '3p'; }

# The old primary comes back after another one was made primary, which the Sentinels know.
sentinels_decide() {
    local port
    answers "+OK" second "REPLICAOF NO ONE" "SET promoted 5" || fail "second was not promoted"
    start_sentinel "${ports["second valkey"]}"
    power_off first
    machine first primary announce=10.0.2.2:6379 sentinel-group=blackfriday "sentinels=10.0.2.2:$port"
    boot_until_ready first
    said first "replica of 10.0.2.2:${ports["second valkey"]}, as the Sentinels of blackfriday say" || fail "the Sentinels were not asked"
    answers $'\n5\n' first "GET promoted" || fail "first does not follow the Sentinels' primary"
    power_off first
    power_off second
}

# start_sentinel PORT_OF_PRIMARY. Sets `port` of the caller; a port in use is one try less.
start_sentinel() {
    local try
    for try in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 10000))
        printf '%s\n' "port $port" "bind 127.0.0.1" "dir $work" "sentinel monitor blackfriday 10.0.2.2 $1 1" \
            >"$work/sentinel.conf"
        "$(valkey_server)" "$work/sentinel.conf" --sentinel >"$work/sentinel.log" 2>&1 </dev/null &
        sentinel=$!
        until_true "Sentinel answers" sentinel_answers_or_ended
        if kill -0 "$sentinel" 2>/dev/null; then return; fi
    done
    fail "Sentinel did not start in $try tries: $(tail -n 5 "$work/sentinel.log")"
}

sentinel_answers_or_ended() { [[ $(talk "$port" PING QUIT) == *PONG* ]] || ! kill -0 "$sentinel" 2>/dev/null; }

# refused NAME TEXT: it says so, and powers off by itself.
refused() {
    vm_start "$1"
    until_true "$1 powers off" stopped "$1"
    vm_forget "$1"
    said "$1" "REFUSED: $2" || fail "$1 was not refused for: $2"
    if said "$1" "$password"; then fail "$1: the password is on the console"; fi
    say "$1: refused, $2"
}

foreign_data_is_left_alone() {
    local name before
    for name in other-file-system unknown-bytes; do
        machine "$name" primary
        case $name in
            other-file-system) mkfs.ext4 -q -L somebodys "$work/$name/data.raw" ;;
            *) printf unknown | dd of="$work/$name/data.raw" bs=1M seek=40 conv=notrunc status=none ;;
        esac
        before=$(sha256sum <"$work/$name/data.raw")
        refused "$name" "the data disk is neither blank nor ours"
        [[ $(sha256sum <"$work/$name/data.raw") == "$before" ]] || fail "$name: the data disk was written to"
    done
}

a_wrong_configuration_is_refused() {
    local config="configuration: /run/valkey/config"
    machine no-config primary
    rm -r "$work/no-config/config"
    refused no-config "no disk with a file system labelled valkey-cfg"
    machine no-password primary
    rm "$work/no-password/config/password"
    refused no-password "$config/password: the file is missing or empty"
    machine short-password primary password=short
    refused short-password "$config/password: 16 to 256 letters"
    machine no-primary replica
    refused no-primary "$config/primary: the file is missing or empty"
    machine two-defaults primary 'users.acl=user default on nopass +@all'
    refused two-defaults "$config/users.acl: line 1: default and readiness may not be defined here"
}

find_disk
if [[ -n $kept ]]; then
    # Whole or not at all; and to be written to, also where Nix made it.
    cp --no-preserve=mode --sparse=always "$disk" "$kept.new"
    mv "$kept.new" "$kept"
    exit
fi
a_write_outlives_the_power
a_replica_follows
sentinels_decide
foreign_data_is_left_alone
a_wrong_configuration_is_refused
say "passed"
