# shellcheck shell=bash
# VMs under QEMU, each in a folder of $work by its name: config/ and data.raw are made by the caller, console.log is what
# it said. Sourced by run.sh, which has set work, disk, limit and the functions say and fail.

: "${work:?}" "${limit:?}"
declare -A pids=() monitors=() ports=()

# What is used of the firmware: its code, and the variables of one VM, which are lost with it.
firmware() {
    local name
    for name in "OVMF_$1_4M.fd" "OVMF_$1.fd"; do
        if [[ -r ${BLACKFRIDAY_OVMF:-/usr/share/OVMF}/$name ]]; then
            printf '%s\n' "${BLACKFRIDAY_OVMF:-/usr/share/OVMF}/$name"
            return
        fi
    done
    fail "no $name in ${BLACKFRIDAY_OVMF:-/usr/share/OVMF}"
}

# vm_start NAME [QEMU OPTION...]: a disk of the configuration is there if the folder config is.
vm_start() {
    local name=$1 home=$work/$1 monitor options=("${@:2}")
    cp --no-preserve=mode "$(firmware VARS)" "$home/vars.fd"
    rm -f "$home"/monitor.* "$home/console.log" "$home/config.img"
    mkfifo "$home/monitor.in" "$home/monitor.out"
    if [[ -d $home/config ]]; then
        config_disk "$home"
        options+=(
            -drive "if=none,id=config,format=raw,readonly=on,file=$home/config.img"
            -device "virtio-blk-pci,drive=config"
        )
    fi
    # Without KVM even where there is one, so that all machines test the same.
    qemu-system-x86_64 -machine q35 -accel tcg -cpu max -smp 1 -m 256 -nodefaults -no-reboot -display none \
        -drive "if=pflash,format=raw,readonly=on,file=$(firmware CODE)" -drive "if=pflash,format=raw,file=$home/vars.fd" \
        -drive "if=none,id=boot,format=raw,readonly=on,file=${disk:?}" -device virtio-blk-pci,drive=boot,bootindex=1 \
        -drive "if=none,id=data,format=raw,file=$home/data.raw" -device virtio-blk-pci,drive=data,serial=data \
        -netdev user,id=net,hostfwd=tcp:127.0.0.1:0-:6379,hostfwd=tcp:127.0.0.1:0-:8080 \
        -device virtio-net-pci,netdev=net,romfile= -serial "file:$home/console.log" \
        -chardev "pipe,id=monitor,path=$home/monitor" -mon monitor "${options[@]}" \
        </dev/null >"$home/qemu.log" 2>&1 &
    pids[$name]=$!
    exec {monitor}<>"$home/monitor.in"
    monitors[$name]=$monitor
    find_ports "$name"
}

# By volume label, as KubeVirt makes it: ISO 9660, or FAT if the file config.vfat is there.
config_disk() {
    if [[ -e $1/config.vfat ]]; then
        truncate -s 1M "$1/config.img"
        mkfs.vfat -n VALKEY-CFG "$1/config.img" >/dev/null
        mcopy -Q -i "$1/config.img" "$1"/config/* ::
    else
        genisoimage -quiet -V valkey-cfg -J -R -o "$1/config.img" "$1/config"
    fi
}

# QEMU has chosen free ports; its monitor tells which.
find_ports() {
    local home=$work/$1 out words port
    command_of "$1" "info usernet"
    exec {out}<>"$home/monitor.out"
    ports["$1 valkey"]='' ports["$1 readiness"]=''
    while [[ -z ${ports["$1 valkey"]} || -z ${ports["$1 readiness"]} ]]; do
        read -r -t 60 -a words <&"$out" || fail "$1: QEMU did not start: $(cat "$home/qemu.log")"
        if [[ ${words[0]:-} == "TCP[HOST_FORWARD]" ]]; then
            port=${words[3]}
            case ${words[5]} in
                6379) ports["$1 valkey"]=$port ;;
                8080) ports["$1 readiness"]=$port ;;
            esac
        fi
    done
    exec {out}>&-
}

command_of() { echo "$2" >&"${monitors[$1]}"; }
running() { kill -0 "${pids[$1]}" 2>/dev/null; }
stopped() { ! running "$1"; }

# said NAME TEXT, on the serial console.
said() { grep -q -F -- "$2" "$work/$1/console.log" 2>/dev/null; }

# The power button.
vm_power_off() {
    command_of "$1" system_powerdown
    until_true "$1 is off" stopped "$1"
    vm_forget "$1"
}

# The plug.
vm_kill() {
    kill -KILL "${pids[$1]}" 2>/dev/null || true
    vm_forget "$1"
}

vm_forget() {
    local monitor=${monitors[$1]}
    wait "${pids[$1]}" 2>/dev/null || true
    exec {monitor}>&-
    unset "pids[$1]"
}

# until_true WHAT COMMAND...: fails at the limit, or when a VM that should run has ended.
until_true() {
    local what=$1 from=$SECONDS
    shift
    until "$@"; do
        ((SECONDS - from < limit)) || fail "not within $limit s: $what"
        sleep 0.3
    done
}

# ask NAME LINE...: what Valkey answers to these commands, without carriage returns.
ask() { talk "${ports["$1 valkey"]}" "${@:2}" QUIT | tr -d '\r'; }

is_ready() { [[ $(talk "${ports["$1 readiness"]}" "GET /readyz HTTP/1.0" "") == "HTTP/1.1 200"* ]]; }
is_not_ready() { ! is_ready "$1"; }

# A connection that the guest refuses is accepted by QEMU and then cut.
talk() {
    (
        exec {socket}<>"/dev/tcp/127.0.0.1/$1"
        printf '%s\r\n' "${@:2}" >&"$socket"
        timeout 20 cat <&"$socket"
    ) 2>/dev/null || true
}
