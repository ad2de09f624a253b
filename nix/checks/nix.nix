# The Nix code itself: formatted, nothing dead, nothing roundabout.
{
  runCommand,
  deadnix,
  nixfmt,
  statix,
  source,
}:
runCommand "nix"
  {
    nativeBuildInputs = [
      deadnix
      nixfmt
      statix
    ];
  }
  ''
    cd ${source.nix}
    find . -name '*.nix' -exec nixfmt --check {} +
    deadnix --fail .
    statix check .
    touch $out
  ''
