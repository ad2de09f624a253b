#!/usr/bin/env bash
# Formats every language that has a formatter here: Rust, shell, Python, Nix. Called by `./dev fmt` and `nix fmt`, and with
# --check, which changes nothing and fails where something would change, by `./dev check`.
#
# How: rustfmt.toml, .editorconfig (shfmt), ruff.toml. Without Nix there is seldom a nixfmt; `nix flake check` has it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly EX_USAGE=64
case ${1:-} in
    '') rust=() shell=(--write) python=() nix=() ;;
    --check) rust=(--check) shell=(--diff) python=(--diff) nix=(--check) ;;
    *)
        echo "usage: tools/fmt.sh [--check]" >&2
        exit $EX_USAGE
        ;;
esac

# Those without an extension begin with #!.
shell_scripts() {
    grep -rlE '^#!.*/(env )?(ba)?sh( |$)' dev .ci k8s nix tools --exclude='*.sh' --exclude='*.md' --exclude='*.nix'
    find dev .ci k8s nix tools -name '*.sh'
    printf '%s\n' bench/peers/*/*.sh
}

cargo fmt --all "${rust[@]}"
# Workspaces of their own.
cargo fmt --manifest-path fuzz/Cargo.toml "${rust[@]}"
cargo fmt --manifest-path bench/peers/chain/api/Cargo.toml "${rust[@]}"
shell_scripts | xargs shfmt "${shell[@]}"
ruff format --quiet --no-cache "${python[@]}" .
if command -v nixfmt >/dev/null; then
    find flake.nix nix -name '*.nix' -exec nixfmt "${nix[@]}" {} +
else
    echo "fmt: Nix code is left out: there is no nixfmt" >&2
fi
