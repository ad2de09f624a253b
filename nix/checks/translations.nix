# Spanish pages next to the English ones. The example comes first, so that nobody takes a check that sees nothing for one that
# finds nothing.
{
  runCommand,
  python3,
  source,
}:
runCommand "translations" { nativeBuildInputs = [ python3 ]; } ''
  check() { python3 -B ${../../tools/translations.py} "$@"; }
  check ${./translations/example} --expect ${./translations/example.txt}
  check ${source.docs}
  touch $out
''
