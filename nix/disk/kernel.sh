# shellcheck shell=bash
# Alpine's kernel for virtual machines, out of the archive for network boots: the kernel itself and, from the squashfs
# next to it, its modules with their modules.dep.
#
# Reads: netboot (a tar.gz), out (a folder, which gets vmlinuz and modules/). Wants unsquashfs.
set -euo pipefail
: "${netboot:?}" "${out:?}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# the ROOT NAME: the one file of that name.
the() {
    local found
    found=$(find "$1" -type f -name "$2")
    [[ -n $found && $found != *$'\n'* ]] || {
        echo "$netboot does not hold one $2" >&2
        return 1
    }
    printf '%s\n' "$found"
}

tar -xzf "$netboot" -C "$work" --no-same-owner --wildcards '*/vmlinuz-virt' '*/modloop-virt'
unsquashfs -quiet -no-progress -no-xattrs -dest "$work/modloop" "$(the "$work" modloop-virt)"
list=$(the "$work/modloop" modules.dep)
mkdir -p "$out"
install -m 644 "$(the "$work" vmlinuz-virt)" "$out/vmlinuz"
cp -r "${list%/*}" "$out/modules"
