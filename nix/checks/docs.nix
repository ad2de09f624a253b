# What the documents tell to type can be typed in nix develop: this is its shell, with another thing to do. The example comes
# first, so that nobody takes a check that sees nothing for one that finds nothing.
{
  lib,
  source,
  shell,
  programs,
  outputs,
}:
let
  known =
    lib.concatMap (program: [
      "--program"
      program.meta.mainProgram
    ]) (lib.attrValues programs)
    ++ lib.concatMap (output: [
      "--output"
      output
    ]) outputs;
in
shell.overrideAttrs {
  name = "docs";
  buildCommand = ''
    check() { python3 -B ${./commands}/commands.py "$@"; }
    if check --program there --output there ${./commands} >found; then echo "the example passes"; exit 1; fi
    diff ${./commands}/example.txt found
    check ${lib.escapeShellArgs known} ${source.docs}
    touch $out
  '';
}
