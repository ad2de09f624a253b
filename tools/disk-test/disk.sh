# shellcheck shell=bash
# The disk under test. Sourced by run.sh, which has set root, cache, work and the functions say and fail.
#
# In this order: the file named in BLACKFRIDAY_DISK; what Nix builds; or the same assembly by nix/disk's scripts, with
# the machine's own Valkey and systemd-boot, and stand-ins for what cannot be had from Alpine.

: "${root:?}" "${cache:?}" "${work:?}"

# Sets `disk`.
find_disk() {
    disk=${BLACKFRIDAY_DISK:-}
    if [[ -n $disk ]]; then
        [[ -r $disk ]] || fail "BLACKFRIDAY_DISK cannot be read: $disk"
        say "disk: $disk"
    elif [[ -z ${BLACKFRIDAY_MINIROOTFS:-}${BLACKFRIDAY_KERNEL:-} ]] && command -v nix >/dev/null && nix_disk; then
        say "disk: built by Nix, $disk"
    else
        assemble
        say "disk: assembled without Nix, $(($(stat -c %s "$disk") / 1048576)) MiB"
    fi
}

nix_disk() {
    local built
    built=$(nix --extra-experimental-features 'nix-command flakes' build --no-link --print-out-paths "$root#disk") ||
        return 1
    disk=$built/disk.raw
}

assemble() {
    local minirootfs kernel
    find_minirootfs
    find_kernel
    minirootfs=$minirootfs modules=$kernel/modules wanted=$root/nix/disk/modules files=$root/nix/disk/root \
        programs="$(valkey_server) $(valkey_config) $(command -v mke2fs) $(command -v e2fsck)" out=$work/initramfs \
        bash "$root/nix/disk/initramfs.sh"
    kernel=$kernel/vmlinuz initramfs=$work/initramfs boot=/usr/lib/systemd/boot/efi/systemd-bootx64.efi \
        efi_name=BOOTX64.EFI console=ttyS0 out=$work/disk.raw bash "$root/nix/disk/image.sh"
    disk=$work/disk.raw
}

# Sets `minirootfs` of the caller.
find_minirootfs() {
    minirootfs=${BLACKFRIDAY_MINIROOTFS:-}
    if [[ -n $minirootfs ]]; then
        say "STAND-IN: the root file system is ${minirootfs##*/}, not the pinned release"
        return
    fi
    minirootfs=$cache/minirootfs.tar.gz
    from_alpine minirootfs "$minirootfs" ||
        fail "Alpine's servers are not reached: name a minirootfs (tar.gz) in BLACKFRIDAY_MINIROOTFS"
}

# Sets `kernel` of the caller: a folder with vmlinuz and modules/.
find_kernel() {
    kernel=${BLACKFRIDAY_KERNEL:-}
    if [[ -n $kernel ]]; then
        say "STAND-IN: the kernel is that of $kernel, not Alpine's"
        return
    fi
    kernel=$work/kernel
    if from_alpine netboot "$cache/netboot.tar.gz"; then
        netboot=$cache/netboot.tar.gz out=$kernel bash "$root/nix/disk/kernel.sh"
    else
        debian_kernel
        say "STAND-IN: Alpine's kernel cannot be had; Debian's $(basename "$work"/deb/lib/modules/*) takes its place"
    fi
}

# from_alpine NAME FILE: the release that nix/disk/alpine.nix pins, by its hash.
from_alpine() {
    local version sha256
    version=$(sed -n 's/^  version = "\(.*\)";/\1/p' "$root/nix/disk/alpine.nix")
    sha256=$(sed -n "s/.*release \"$1\" \"\(.*\)\";/\1/p" "$root/nix/disk/alpine.nix")
    [[ -n $version && -n $sha256 ]] || fail "nix/disk/alpine.nix has another form than is read here"
    if ! sha256sum --check --status <<<"$sha256  $2" 2>/dev/null; then
        curl --silent --fail --location --connect-timeout 10 --max-time 600 --output "$2.part" \
            "https://dl-cdn.alpinelinux.org/alpine/v${version%.*}/releases/x86_64/alpine-$1-$version-x86_64.tar.gz" ||
            return 1
        sha256sum --check --status <<<"$sha256  $2.part" || fail "Alpine's $1 has another hash than is pinned"
        mv "$2.part" "$2"
    fi
}

# The kernel for clouds: what it depends on is the package of one version.
debian_kernel() {
    local package
    command -v apt-get >/dev/null || fail "no kernel: name a folder with vmlinuz and modules/ in BLACKFRIDAY_KERNEL"
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2 }')
    [[ $package == linux-image-* ]] || fail "Debian has no kernel for clouds here: name one in BLACKFRIDAY_KERNEL"
    (cd "$work" && apt-get -o APT::Sandbox::User= download -qq "$package") || fail "$package was not downloaded"
    dpkg-deb --extract "$work/$package"_*.deb "$work/deb"
    depmod --basedir "$work/deb" "$(basename "$work"/deb/lib/modules/*)"
    mkdir "$kernel"
    cp "$work"/deb/boot/vmlinuz-* "$kernel/vmlinuz"
    cp -r "$work"/deb/lib/modules/* "$kernel/modules"
}

# Built here, unless one is named.
valkey_config() {
    if [[ -z ${BLACKFRIDAY_VALKEY_CONFIG:-} ]]; then
        (cd "$root" && cargo build --quiet --locked --release -p blackfriday-valkey-config)
    fi
    printf '%s\n' "${BLACKFRIDAY_VALKEY_CONFIG:-${CARGO_TARGET_DIR:-$root/target}/release/blackfriday-valkey-config}"
}

# As tools/setup finds it.
valkey_server() {
    if [[ -n ${BLACKFRIDAY_VALKEY_SERVER:-} ]]; then
        printf '%s\n' "$BLACKFRIDAY_VALKEY_SERVER"
    else
        command -v valkey-server || printf '%s\n' "$root/.tools/valkey/usr/bin/valkey-server"
    fi
}
