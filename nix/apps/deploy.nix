# Brings everything into a cluster: nix run .#deploy -- --overlay NAME --registry HOST[:PORT] [ARGUMENTS OF deploy...]
#
# From the root of the repository, where k8s/ is. Which of the images an overlay needs, deploy knows.
{
  lib,
  writeShellApplication,
  curl,
  kubectl,
  kustomize,
  openssl,
  programs,
  archives,
  name,
  workload,
}:
let
  given = archive: "--images ${archive.file}=${archive.reference}";
in
writeShellApplication {
  inherit name;
  runtimeInputs = [
    programs.blackfriday
    curl
    kubectl
    kustomize
    openssl
  ];
  text = ''
    exec blackfriday deploy --workload ${workload} ${lib.concatMapStringsSep " " given archives} "$@"
  '';
}
