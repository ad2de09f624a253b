# The program that the image starts is there and starts.
{
  lib,
  runCommand,
  locust,
}:
runCommand "locust" { } ''
  export HOME=$TMPDIR
  ${lib.getExe locust} --version 2>&1 | tee version
  grep -qi locust version
  touch $out
''
