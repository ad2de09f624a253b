# Builds every output twice and compares: nix run .#reproduce [FLAKE [OUTPUT...]]
{ writeShellApplication, outputs }:
writeShellApplication {
  name = "blackfriday-reproduce";
  text = ''
    flake=''${1:-.}
    outputs=(${toString outputs})
    if (($# > 1)); then outputs=("''${@:2}"); fi
    wrong=0
    table=
    for output in "''${outputs[@]}"; do
      # What came from a cache, too, is built here once more and compared with it.
      path=$(nix build "$flake#$output" --no-link --print-out-paths)
      verdict=equal
      if ! nix build "$flake#$output" --no-link --rebuild; then
        verdict=DIFFERENT
        wrong=1
      fi
      if [[ -f $path ]]; then digest=$(sha256sum "$path" | cut -d' ' -f1); else digest=$(nix hash path --type sha256 --base16 "$path"); fi
      table+=$(printf '%-20s %-10s sha256:%s' "$output" "$verdict" "$digest")$'\n'
    done
    printf '%s' "$table"
    exit $wrong
  '';
}
