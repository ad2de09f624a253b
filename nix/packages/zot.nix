# Zot, the OCI registry, which nixpkgs has not: the newest one that the package set's Go can build, without extensions.
{
  lib,
  buildGoModule,
  fetchFromGitHub,
  go,
}:
let
  # As go.mod of 2.1.20 demands.
  release =
    if lib.versionAtLeast go.version "1.26.3" then
      {
        version = "2.1.20";
        hash = "sha256-lEw2VzPmKPisy6PmqZMf7cv+a19NSHsxJg+nosYMrGY=";
        vendorHash = "sha256-7B46O3YZdc8c1awn9iwm5+2I+sQn+ylhXzdY/Q6UOR4=";
        # As its Makefile builds it.
        experiment.GOEXPERIMENT = "jsonv2";
      }
    else
      {
        version = "2.1.10";
        hash = "sha256-Evf556J2j+qCI4OtFT40yi3fQiZ0ubOTcCL8vsGHKb8=";
        vendorHash = "sha256-DRbq56mh58DRme8tgxglMtneosfgbM35Z2QH/z5fNhc=";
      };
in
buildGoModule {
  pname = "zot";
  inherit (release) version vendorHash;
  src = fetchFromGitHub {
    owner = "project-zot";
    repo = "zot";
    tag = "v${release.version}";
    inherit (release) hash;
  };
  subPackages = [ "cmd/zot" ];
  env = {
    CGO_ENABLED = 0;
  }
  // release.experiment or { };
  # They want registries of others and a cluster.
  doCheck = false;
  meta = {
    description = "OCI registry";
    homepage = "https://zotregistry.dev";
    license = lib.licenses.asl20;
    mainProgram = "zot";
  };
}
