# shellcheck shell=bash
# The root file system of the VM, as one compressed archive that the kernel unpacks: Alpine's minirootfs, our files, the
# programs and the kernel's modules. Equal inputs give an equal archive.
#
# Reads: minirootfs (a tar.gz), modules (a folder lib/modules/VERSION), wanted (the list of modules), files (our files),
# programs (paths of programs, separated by blanks), out (the archive). Wants cpio, kmod's or Alpine's modules.dep, ldd.
set -euo pipefail
: "${minirootfs:?}" "${modules:?}" "${wanted:?}" "${files:?}" "${programs:?}" "${out:?}"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
home=$root/usr/lib/valkey-vm

unpack() {
    # The kernel makes the devices.
    tar -xzf "$minirootfs" -C "$root" --no-same-owner --exclude='./dev/*'
    cp -r "$files/." "$root/"
    # A Nix store is read-only.
    chmod -R u+w "$root"
    echo 'valkey:x:6379:6379:Valkey:/var/lib/valkey:/sbin/nologin' >>"$root/etc/passwd"
    echo 'valkey:x:6379:' >>"$root/etc/group"
    mkdir -p "$root/var/lib/valkey" "$home/programs" "$home/modules"
}

# A program that is not static comes with its libraries and its loader, and is started by that loader: it finds nothing
# of the build's machine in the VM.
add_program() {
    local name=${1##*/} place=$home/programs found library loader=
    if ! ldd "$1" >/dev/null 2>&1; then
        install -m 755 "$1" "$place/$name"
        return
    fi
    found=$(libraries "$1")
    mkdir -p "$place/lib"
    install -m 755 "$1" "$place/lib/$name"
    while read -r library; do
        install -m 755 "$library" "$place/lib/${library##*/}"
        case ${library##*/} in ld-*) loader=${library##*/} ;; esac
    done <<<"$found"
    : "${loader:?of $1 was not found}"
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' \
        "${place#"$root"}/lib/$loader" "${place#"$root"}/lib" "${place#"$root"}/lib/$name" >"$place/$name"
    chmod 755 "$place/$name"
}

# The loader's line begins with its path, as the program names it; a library's has its path after the arrow.
libraries() {
    ldd "$1" | sed -nE 's/^[[:space:]]*(\/[^ ]+) .*\(0x.*/\1/p; s/^[[:space:]]*[^/ ]+ => (\/[^ ]+) \(0x.*/\1/p'
    if ldd "$1" | grep 'not found' >&2; then
        return 1
    fi
}

add_modules() {
    local name optional path
    while read -r name; do
        case $name in '' | '#'*) continue ;; esac
        optional=${name%%[!?]*}
        path=$(find_module "${name#\?}" modules.dep)
        if [[ -n $path ]]; then
            add_module "$path"
        elif [[ -z $optional && -z $(find_module "$name" modules.builtin) ]]; then
            echo "the kernel has no module $name" >&2
            return 1
        fi
    done <"$wanted"
}

# find_module NAME LIST: its path, or nothing. "-" and "_" are one in names of modules.
find_module() {
    awk -F: -v name="$1" '
        { file = $1; sub(/.*\//, "", file); sub(/\.ko.*/, "", file); gsub(/-/, "_", file) }
        file == name { print $1; exit }' "$modules/$2"
}

# modules.dep names what a module needs in the reverse of the order in which to load it.
add_module() {
    local path
    for path in $(awk -F: -v path="$1" '$1 == path { n = split($2, needs, " "); while (n > 0) print needs[n--] }' \
        "$modules/modules.dep") "$1"; do
        place_module "$path"
    done
}

place_module() {
    local file=${1##*/}
    file=${file%%.ko*}.ko
    [[ ! -e $home/modules/$file ]] || return 0
    case $1 in
        *.gz) gzip -dc "$modules/$1" ;;
        *.xz) xz -dc "$modules/$1" ;;
        *.zst) zstd -dcq "$modules/$1" ;;
        *) cat "$modules/$1" ;;
    esac >"$home/modules/$file"
    echo "$file" >>"$home/modules/order"
}

pack() {
    find "$root" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-1}" {} +
    (cd "$root" && find . -print0 | LC_ALL=C sort -z |
        cpio --quiet --null --create --format=newc --owner=+0:+0 --reproducible) | gzip -9n >"$out"
}

unpack
for program in $programs; do add_program "$program"; done
: >"$home/modules/order"
add_modules
chmod 755 "$root"
chmod -R u+rwX,go=rX "$root/usr/lib/valkey-vm" "$root/init" "$root/etc/acpi" "$root/etc/inittab"
pack
