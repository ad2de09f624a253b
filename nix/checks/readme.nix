# The README's table of environment variables is the one that the commands define.
{
  lib,
  runCommand,
  programs,
  source,
}:
runCommand "readme" { } ''
  sed -n '/^<!-- env:begin -->$/,/^<!-- env:end -->$/p' ${source.readme} | sed '1d;$d' > found
  ${lib.getExe programs.blackfriday} reference | grep . > wanted
  diff found wanted
  test -s found
  touch $out
''
