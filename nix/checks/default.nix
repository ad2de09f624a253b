# nix flake check. Everything that ./dev test does where a sandbox allows it, and what only Nix knows.
{
  pkgs,
  craneLib,
  workspace,
  source,
  programs,
  images,
  # The image with the Valkey VM's disk, by the name of its check, where it can be built.
  disk,
  apps,
  kafka,
  locust,
  servers,
  shell,
  # Names of everything that can follow `.#`.
  outputs,
}:
let
  inherit (workspace.passthru) common;
  # Tests and lints share the dependencies of the dev profile; they cost less to build than those of the release.
  dev = common // {
    src = source.tests;
    CARGO_PROFILE = "dev";
    cargoExtraArgs = "--locked --workspace";
  };
  rust = dev // {
    cargoArtifacts = craneLib.buildDepsOnly dev;
  };
in
{
  fmt = craneLib.cargoFmt { inherit (dev) pname version src; };
  clippy = craneLib.cargoClippy (rust // { cargoClippyExtraArgs = "--all-targets -- -D warnings"; });
  doc = craneLib.cargoDoc (
    rust
    // {
      RUSTDOCFLAGS = "-D warnings";
      cargoDocExtraArgs = "--no-deps";
    }
  );
  deny = craneLib.cargoDeny {
    inherit (dev) pname version src;
    # Advisories change under an unchanged commit.
    cargoDenyChecks = "bans licenses sources";
  };
  # Dependencies that no line uses.
  shear = craneLib.mkCargoDerivation {
    inherit (dev) pname version src;
    pnameSuffix = "-shear";
    cargoArtifacts = null;
    doInstallCargoArtifacts = false;
    nativeBuildInputs = [ pkgs.cargo-shear ];
    buildPhaseCargoCommand = "cargo shear --locked --offline";
    installPhaseCommand = "mkdir -p $out";
  };
  tests = pkgs.callPackage ./tests.nix { inherit craneLib rust servers; };
  configuration = pkgs.callPackage ./configuration.nix { inherit programs source; };
  docs = pkgs.callPackage ./docs.nix {
    inherit
      source
      shell
      programs
      outputs
      ;
  };
  translations = pkgs.callPackage ./translations.nix { inherit source; };
  nix = pkgs.callPackage ./nix.nix { inherit source; };
  manifests = pkgs.callPackage ./manifests.nix { inherit source; };
  scripts = pkgs.callPackage ./scripts.nix { inherit source; };
  alerts = pkgs.callPackage ./alerts.nix { inherit source; };
  apps = pkgs.callPackage ./apps.nix { inherit apps; };
  images = pkgs.callPackage ./images.nix { inherit images; };
  kafka = pkgs.callPackage ./kafka.nix { inherit kafka source; };
  locust = pkgs.callPackage ./locust.nix { inherit locust; };
}
// disk
