# shellcheck shell=dash
# The disk of the configuration, found by its label, and the disk of the data, found by its serial. Sourced by start.

# A new disk is zero in its head and its end. A partition table, a LUKS or LVM header or any file system is not.
readonly HEAD_MIB=64 END_MIB=1 SMALLEST_MIB=128

mount_config() {
    local disk type
    wait_for 10 find_config || refuse "no disk with a file system labelled $CONFIG_LABEL (iso9660 or vfat)"
    disk=$found
    type=$(attribute TYPE "$disk")
    case $type in
        iso9660 | vfat) ;;
        *) refuse "the configuration on $disk is $type, neither iso9660 nor vfat" ;;
    esac
    mount -t "$type" -o ro,nosuid,nodev,noexec "$disk" "$CONFIG" ||
        refuse "the configuration on $disk cannot be mounted"
}

# Sets `found`. Labels of FAT are in capital letters.
find_config() {
    local disk
    found=
    for disk in $(disks); do
        if [ "$(attribute LABEL "$disk" | tr '[:upper:]' '[:lower:]')" = "$CONFIG_LABEL" ]; then
            [ -z "$found" ] || refuse "both $found and $disk are labelled $CONFIG_LABEL"
            found=$disk
        fi
    done
    [ -n "$found" ]
}

mount_data() {
    local disk=/dev/disk/by-id/virtio-$DATA_SERIAL
    wait_for 10 find_data || refuse "no disk with the virtio serial \"$DATA_SERIAL\""
    mkdir -p /dev/disk/by-id
    ln -s "$found" "$disk"
    if is_ours "$disk"; then
        check "$disk"
    elif is_blank "$disk"; then
        format "$disk"
    else
        refuse "the data disk is neither blank nor ours ($(contents "$disk")). It was left untouched: see docs/disk.md"
    fi
    mount -t ext4 -o noatime,nosuid,nodev,noexec "$disk" "$DATA" || refuse "the data disk cannot be mounted"
    chown valkey:valkey "$DATA"
    chmod 700 "$DATA"
    say "data disk mounted: $(df -hP "$DATA" | awk 'END { print $3 " of " $2 " used" }')"
}

find_data() {
    local serial
    found=
    for serial in /sys/block/vd*/serial; do
        if [ "$(cat "$serial" 2>/dev/null)" = "$DATA_SERIAL" ]; then
            serial=${serial%/serial}
            [ -z "$found" ] || refuse "both $found and /dev/${serial##*/} have the serial \"$DATA_SERIAL\""
            found=/dev/${serial##*/}
        fi
    done
    [ -n "$found" ]
}

is_ours() { [ "$(attribute TYPE "$1")" = ext4 ] && [ "$(attribute LABEL "$1")" = "$DATA_LABEL" ]; }

is_blank() {
    local mib=$(($(blockdev --getsize64 "$1") / 1048576))
    [ "$mib" -ge "$SMALLEST_MIB" ] || refuse "the data disk has $mib MiB; the least is $SMALLEST_MIB"
    is_zero "$1" 0 "$HEAD_MIB" && is_zero "$1" $((mib - END_MIB)) "$END_MIB"
}

# is_zero DISK SKIP COUNT, in MiB. A disk that cannot be read is not zero.
is_zero() {
    dd if="$1" bs=1048576 skip="$2" count="$3" 2>/dev/null | cmp -s -n $(($3 * 1048576)) - /dev/zero
}

format() {
    say "the data disk is blank: formatting it, this once"
    mke2fs -q -t ext4 -L "$DATA_LABEL" -m 0 -e remount-ro "$1" >/dev/console 2>&1 ||
        refuse "the data disk could not be formatted"
}

# Replays the journal and repairs what can be repaired without a decision: 0 is clean, 1 repaired.
check() {
    local code=0
    e2fsck -p "$1" >/dev/console 2>&1 || code=$?
    [ "$code" -le 1 ] || refuse "the data disk needs a repair by hand (e2fsck: $code). It was left unmounted"
}

contents() {
    local type
    type=$(attribute TYPE "$1")
    echo "${type:-unknown contents}, label \"$(attribute LABEL "$1")\""
}

disks() {
    local block
    for block in /sys/block/vd*; do
        [ ! -e "$block" ] || echo "/dev/${block##*/}"
    done
}

# attribute NAME DISK, or nothing.
attribute() { blkid "$2" | sed -n "s/.* $1=\"\([^\"]*\)\".*/\1/p"; }
