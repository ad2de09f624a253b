# nix fmt: what ./dev fmt runs, with the programs that it calls.
{
  writeShellApplication,
  cargo,
  findutils,
  gnugrep,
  nixfmt,
  ruff,
  rustfmt,
  shfmt,
}:
writeShellApplication {
  name = "blackfriday-fmt";
  runtimeInputs = [
    cargo
    findutils
    gnugrep
    nixfmt
    ruff
    rustfmt
    shfmt
  ];
  # Nix says where the flake is; what it adds to the words are files, and all are formatted anyway.
  text = ''
    cd "''${PRJ_ROOT:-.}"
    exec tools/fmt.sh
  '';
}
