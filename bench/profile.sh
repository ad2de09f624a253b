#!/usr/bin/env bash
# Builds the services with counters, drives them, and builds them once more, optimized for what was counted.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
services=(gateway relay writer consumer dashboard)
target=${CARGO_TARGET_DIR:-target}
out=$target/profiled
# Where programs land would depend on the one, and where profiles on the other.
unset CARGO_BUILD_TARGET LLVM_PROFILE_FILE

usage() {
    cat <<'USAGE'
usage: bench/profile.sh

Leaves the services in target/profiled, and beside them a `blackfriday` that starts them: `target/profiled/blackfriday bench`, or
`demo`. Takes as long as a release build and two more, and the servers that `blackfriday bench` takes.

  LLVM_PROFDATA   llvm-profdata of the LLVM that rustc has (`rustc -vV`), or of a later one; without it, the one of rustup's
                  component llvm-tools, or one that is on PATH
USAGE
}

die() {
    printf 'profile: %s\n' "$*" >&2
    exit 69
}

# The tool reads what its own LLVM and older ones wrote.
profdata() {
    local wanted found
    wanted=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    if [[ -n ${LLVM_PROFDATA-} ]]; then
        command -v "$LLVM_PROFDATA" || die "LLVM_PROFDATA: $LLVM_PROFDATA is no program"
        return
    fi
    for found in "$(rustc --print target-libdir)/../bin/llvm-profdata" "llvm-profdata-$wanted" llvm-profdata; do
        if (($("$found" --version 2>/dev/null | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p') + 0 >= wanted)); then
            command -v "$found"
            return
        fi
    done
    die "llvm-profdata of LLVM $wanted or later is missing: rustup component add llvm-tools, or LLVM_PROFDATA"
}

# build DIRECTORY FLAG: for this machine by name, so that build scripts and macros are left as they are.
build() {
    local flags
    read -ra flags <<<"${RUSTFLAGS-}"
    CARGO_ENCODED_RUSTFLAGS=$(
        IFS=$'\x1f'
        echo "${flags[*]}${flags:+$IFS}$2"
    ) cargo build --release --locked --workspace \
        "${services[@]/#/--bin=blackfriday-}" --target "$host" --target-dir "$1"
}

# gather FROM INTO: what belongs together, in one folder.
gather() {
    mkdir -p "$2"
    for service in "${services[@]}"; do cp "$1/$host/release/blackfriday-$service" "$2"; done
    cp "$target/release/blackfriday" "$2"
}

if (($# > 0)); then
    usage
    [[ $1 == --help ]] || exit 64
    exit 0
fi
merge=$(profdata)
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$out"
out=$(cd "$out" && pwd)

cargo build --release --locked --workspace --bins --target-dir "$target"
build "$out/instrumented" -Cprofile-generate
gather "$out/instrumented" "$out/instrumented/bin"
# Nothing of a run before. Cargo does not see that a profile is another one.
rm -rf "$out/raw" "$out/optimized"
LLVM_PROFILE_FILE=$out/raw/%p.profraw "$out/instrumented/bin/blackfriday" bench --rounds 1 --duration 6s --warm-up 3s
[[ -z $(find "$out/raw" -empty) ]] || die "a service was killed before it had written its profile"
"$merge" merge --sparse --output "$out/services.profdata" "$out/raw"
build "$out/optimized" "-Cprofile-use=$out/services.profdata"
gather "$out/optimized" "$out"
rm -rf "$out/raw"
