# shellcheck shell=bash
# The disk: a GPT with one EFI system partition, which holds systemd-boot, the kernel and the initramfs. It is put
# together from files, without root and without a VM. Equal inputs give an equal disk.
#
# Reads: kernel, initramfs, boot (systemd-boot's EFI program), efi_name (of the fallback loader, as BOOTX64.EFI), console,
# out (the raw disk). Wants mtools, dosfstools and sfdisk.
set -euo pipefail
: "${kernel:?}" "${initramfs:?}" "${boot:?}" "${efi_name:?}" "${console:?}" "${out:?}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1} TZ=UTC MTOOLS_SKIP_CHECK=1

# FAT begins in 1980.
readonly FIRST_DATE=1980-01-01T00:00:00Z
readonly DISK_ID=5F1B6A0C-6A53-4E0E-9C1B-62C7A0B1D001 PARTITION_ID=5F1B6A0C-6A53-4E0E-9C1B-62C7A0B1D002
readonly VOLUME_ID=5f1b6a0c ESP_TYPE=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
readonly MIB=1048576

tree() {
    mkdir -p "$work/esp/EFI/BOOT" "$work/esp/loader/entries"
    cp "$boot" "$work/esp/EFI/BOOT/$efi_name"
    cp "$kernel" "$work/esp/vmlinuz"
    cp "$initramfs" "$work/esp/initramfs"
    # Without the editor nobody at the console can start a shell instead.
    printf 'timeout 0\neditor no\n' >"$work/esp/loader/loader.conf"
    printf 'title Valkey\nlinux /vmlinuz\ninitrd /initramfs\noptions console=%s quiet panic=10\n' "$console" \
        >"$work/esp/loader/entries/valkey.conf"
    find "$work/esp" -exec touch -d "$FIRST_DATE" {} +
}

# As large as its files, and a little for the tables.
partition() {
    local kib
    kib=$(du -sk --apparent-size "$work/esp" | cut -f 1)
    esp_mib=$((kib / 1024 + 2))
    truncate -s "${esp_mib}M" "$work/esp.img"
    mkfs.vfat --invariant -i "$VOLUME_ID" -n BLACKFRIDAY "$work/esp.img" >/dev/null
    (cd "$work/esp" && mcopy -spmQ -i "$work/esp.img" EFI loader vmlinuz initramfs ::)
}

disk() {
    truncate -s "$((esp_mib + 2))M" "$work/disk.raw"
    sfdisk --quiet "$work/disk.raw" <<TABLE
label: gpt
label-id: $DISK_ID
start=2048, size=$((esp_mib * MIB / 512)), type=$ESP_TYPE, uuid=$PARTITION_ID, name=boot
TABLE
    dd if="$work/esp.img" of="$work/disk.raw" bs="$MIB" seek=1 conv=notrunc,sparse status=none
    cp --sparse=always "$work/disk.raw" "$out"
}

tree
partition
disk
