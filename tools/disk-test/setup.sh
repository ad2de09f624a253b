# shellcheck shell=bash
# What `./dev disk-test` and `./dev disk` need of the machine. Sourced by ./dev, after tools/setup, whose functions it uses.

setup_disk_test() {
    local names=() packages=()
    PATH=$PATH:/usr/sbin:/sbin
    setup_valkey
    need_for_disk_test
    if ((${#names[@]} > 0)) && has apt-get; then
        say "installing: ${packages[*]}"
        apt_install "${packages[@]}"
        hash -r
        need_for_disk_test
    fi
    ((${#names[@]} == 0)) || die "$EX_UNAVAILABLE" "missing: ${names[*]} (in Debian: ${packages[*]})"
}

# Sets `names` and `packages` of the caller.
need_for_disk_test() {
    names=() packages=()
    need qemu-system-x86_64 qemu-system-x86 has qemu-system-x86_64
    need "OVMF's firmware" ovmf test -d "${BLACKFRIDAY_OVMF:-/usr/share/OVMF}"
    need mkfs.ext4 e2fsprogs has mkfs.ext4
    need mkfs.vfat dosfstools has mkfs.vfat
    need mcopy mtools has mcopy
    need genisoimage genisoimage has genisoimage
    # The rest puts a disk together.
    if [[ -z ${BLACKFRIDAY_DISK:-} ]]; then
        need sfdisk fdisk has sfdisk
        need cpio cpio has cpio
        need depmod kmod has depmod
        need unsquashfs squashfs-tools has unsquashfs
        need curl curl has curl
        need systemd-boot systemd-boot-efi test -d /usr/lib/systemd/boot/efi
    fi
}
