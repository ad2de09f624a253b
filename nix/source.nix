# What a build may see. A file that is not listed here changes no output: an edit of the README rebuilds nothing.
{ lib }:
let
  inherit (lib) fileset;
  root = ../.;
  of =
    files:
    fileset.toSource {
      inherit root;
      fileset = fileset.unions files;
    };
  cargo = [
    ../Cargo.toml
    ../Cargo.lock
    ../crates
    ../proto
  ];
in
{
  # Of the programs.
  cargo = of cargo;
  # Of the tests and lints.
  tests = of (
    cargo
    ++ [
      ../.config/nextest.toml
      ../clippy.toml
      ../deny.toml
      ../rustfmt.toml
      # What deploy's plans are made from, and what doctor renders.
      ../k8s/base
      ../k8s/components
      ../k8s/overlays
      ../k8s/tests/render.sh
      # The pages that name every problem and every fault.
      ../docs/http-api.md
      ../docs/faults.md
      ../docs/keys.md
      # The report, and what it is written out of.
      ../docs/informe.md
      ../docs/lab
    ]
  );
  nix = of [
    ../flake.nix
    ../nix
  ];
  scripts = of [
    ../.editorconfig
    ../ruff.toml
    ../dev
    ../tools
    ../.ci
    ../nix
    ../k8s/generate.sh
    ../k8s/operators/fetch.sh
    ../k8s/tests
    ../locust
    ../crates/e2e/tests/openapi
    (fileset.fileFilter (file: file.hasExt "sh") ../bench)
  ];
  # And what they are compared with.
  manifests = of [
    (fileset.difference ../k8s (fileset.maybeMissing ../k8s/generated))
    # Every page, for what it tells to apply.
    (fileset.fileFilter (file: file.hasExt "md") root)
    ../Cargo.toml
    ../crates/broker/acl
    ../crates/store/acl
  ];
  configuration = ../docs/configuration.md;
  # Everything that is to be read, and what it tells to start.
  docs = of [
    (fileset.difference (fileset.fileFilter (file: file.hasExt "md") root) ../nix)
    ../LICENSE
    ../docs/page.png
    ../docs/terminal.svg
    ../dev
    ../k8s/generate.sh
    ../k8s/operators/fetch.sh
    ../k8s/tests
    ../bench/peers/chain/build.sh
    ../bench/profile.sh
  ];
  toml = lib.importTOML ../Cargo.toml;
}
