# shellcheck shell=bash
# Locust, which sends from one's own machine, and the checks of its locustfile. Sourced by ./dev.

readonly LOCUST_BY_HAND="locust is wanted on PATH: pip install -r locust/requirements.txt"

# The machine's, or ours.
find_locust() {
    if has locust; then
        command -v locust
    elif [[ -x $tools/locust/bin/locust ]] && stamped locust "$root/locust/requirements.txt"; then
        echo "$tools/locust/bin/locust"
    fi
}

setup_locust() {
    if [[ -n $(find_locust) ]]; then
        return
    fi
    say "fetching locust"
    rm -rf "$tools/locust"
    python3 -m venv "$tools/locust"
    "$tools/locust/bin/pip" install --quiet --disable-pip-version-check --requirement "$root/locust/requirements.txt" >&2
    stamp locust "$root/locust/requirements.txt"
    [[ -n $(find_locust) ]] || die "$EX_UNAVAILABLE" "$LOCUST_BY_HAND"
}
