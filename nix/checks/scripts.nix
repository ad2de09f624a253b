# shellcheck of every shell script.
{
  runCommand,
  shellcheck,
  source,
}:
runCommand "scripts" { nativeBuildInputs = [ shellcheck ]; } ''
  cd ${source.scripts}
  shellcheck --external-sources dev .ci/run
  touch $out
''
