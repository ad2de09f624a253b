# The tables of environment variables in docs/configuration.md are those that the commands define.
{
  lib,
  runCommand,
  programs,
  source,
}:
runCommand "configuration" { } ''
  sed -n '/^<!-- env:begin -->$/,/^<!-- env:end -->$/p' ${source.configuration} | sed '1d;$d' | grep . > found
  ${lib.getExe programs.blackfriday} reference | grep . > wanted
  diff found wanted
  test -s found
  touch $out
''
