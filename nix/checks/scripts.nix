# shellcheck of every shell script.
{
  runCommand,
  shellcheck,
  source,
}:
runCommand "scripts" { nativeBuildInputs = [ shellcheck ]; } ''
  cd ${source.scripts}
  grep -rlE '^#!.*(ba)?sh|^# shellcheck shell=' . | xargs shellcheck --external-sources
  touch $out
''
