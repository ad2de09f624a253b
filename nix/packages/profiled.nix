# The workspace, optimized for what its services do under a load: built, driven by `bench`, and built again. A load is never
# the same twice, so neither are these programs.
{
  lib,
  runCommand,
  rustc,
  stdenv,
  # Builds the workspace, with more arguments.
  build,
  # Where Kafka, Java and Valkey are, as variables.
  servers,
}:
let
  target = stdenv.hostPlatform.rust.rustcTarget;
  instrumented = build {
    inherit target;
    flags = [ "-Cprofile-generate" ];
  };
  services = lib.concatMapStringsSep " " (name: "${instrumented}/bin/blackfriday-${name}") [
    "gateway"
    "relay"
    "writer"
    "consumer"
    "dashboard"
  ];
  profile =
    runCommand "blackfriday-services.profdata"
      (servers // { nativeBuildInputs = [ rustc.llvmPackages.llvm ]; })
      ''
        # It starts what is beside it.
        mkdir bin
        cp ${services} ${build { }}/bin/blackfriday bin
        LLVM_PROFILE_FILE=$PWD/raw/%p.profraw bin/blackfriday bench --rounds 1 --duration 6s --warm-up 3s > bench.log
        # One that was killed has written nothing.
        test -z "$(find raw -empty)"
        llvm-profdata merge --sparse --output $out raw
      '';
in
build {
  inherit target;
  flags = [ "-Cprofile-use=${profile}" ];
}
