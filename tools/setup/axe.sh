# shellcheck shell=bash
# axe-core, by which the tests of the page look for barriers, under .tools/axe. Sourced by ./dev.

have_axe() {
    [[ -f $tools/axe/node_modules/axe-core/axe.min.js ]] && stamped axe "$root/tools/axe/package-lock.json"
}

setup_axe() {
    if have_axe; then
        return
    fi
    say "fetching axe-core"
    rm -rf "$tools/axe"
    mkdir -p "$tools/axe"
    cp "$root"/tools/axe/package{,-lock}.json "$tools/axe"
    logged npm ci --prefix "$tools/axe" --ignore-scripts --no-audit --no-fund
    stamp axe "$root/tools/axe/package-lock.json"
}
