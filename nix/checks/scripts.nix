# shellcheck of every shell script.
{
  runCommand,
  shellcheck,
  source,
}:
runCommand "scripts" { nativeBuildInputs = [ shellcheck ]; } ''
  cd ${source.scripts}
  shellcheck nix/disk/*.sh
  grep -rlE '^#!.*/(env )?(ba)?sh( |$)' . | xargs shellcheck --external-sources
  touch $out
''
