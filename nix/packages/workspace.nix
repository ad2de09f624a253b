# The whole workspace in one derivation, its dependencies in another: all programs share one build of librdkafka,
# tonic and the rest, and no `-p` resolves features again.
{
  lib,
  craneLib,
  source,
  # Cargo's.
  profile,
  # For rustc, besides our own.
  flags ? [ ],
  # The platform by rustc's name; flags then do not concern build scripts and macros.
  target ? null,
  cmake,
  curl,
  openssl,
  pkg-config,
  zlib,
  zstd,
}:
let
  common = {
    pname = "blackfriday";
    inherit (source.toml.workspace.package) version;
    src = source.cargo;
    strictDeps = true;
    CARGO_PROFILE = profile;

    # librdkafka is built by its own CMake file inside of rdkafka-sys, which is run by cargo and not by stdenv.
    nativeBuildInputs = [
      cmake
      pkg-config
    ];
    dontUseCmakeConfigure = true;
    buildInputs = [
      # Its headers only: librdkafka includes them also where it is built without it.
      curl
      openssl
      zlib
      zstd
    ];

    # Generated code is included from the build directory, whose path would stand in every panic message.
    RUSTFLAGS = toString ([ "--remap-path-prefix=/build/source=." ] ++ flags);
  }
  // lib.optionalAttrs (target != null) { CARGO_BUILD_TARGET = target; };
  dependencies = craneLib.buildDepsOnly (
    common
    // {
      doCheck = false;
      # Nothing takes what `cargo check` leaves behind.
      cargoCheckCommand = ":";
    }
  );
in
craneLib.buildPackage (
  common
  // {
    cargoArtifacts = dependencies;
    cargoExtraArgs = "--locked --workspace --bins";
    # The checks run the tests, with the servers that they want.
    doCheck = false;
    passthru = { inherit common; };
  }
)
