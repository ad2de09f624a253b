# shellcheck of every shell script; shell and Python code formatted.
{
  runCommand,
  ruff,
  shellcheck,
  shfmt,
  source,
}:
runCommand "scripts"
  {
    nativeBuildInputs = [
      ruff
      shellcheck
      shfmt
    ];
  }
  ''
    cd ${source.scripts}
    shellcheck nix/disk/*.sh
    grep -rlE '^#!.*/(env )?(ba)?sh( |$)' . >"$TMPDIR/scripts"
    xargs shellcheck --external-sources <"$TMPDIR/scripts"
    find . -name '*.sh' | cat - "$TMPDIR/scripts" | sort -u | xargs shfmt --diff
    ruff format --no-cache --diff .
    touch $out
  ''
