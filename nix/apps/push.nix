# Pushes images and the workload: nix run .#push -- HOST[:PORT] [ARGUMENTS OF image push...]
#
# Who may push, and whom to trust, stand in BLACKFRIDAY_REGISTRY_*. The digests go to k8s/generated/images.
{
  lib,
  writeShellApplication,
  programs,
  archives,
  name,
  workload,
}:
let
  inherit (programs.blackfriday) version;
  push = archive: ''
    blackfriday image push ${archive.file} "$registry/${archive.reference}" --kustomize "$component" "$@"
  '';
in
writeShellApplication {
  inherit name;
  runtimeInputs = [ programs.blackfriday ];
  text = ''
    registry=''${1:?the registry, HOST[:PORT]}
    shift
    component=''${BLACKFRIDAY_IMAGES_COMPONENT:-k8s/generated/images}
    mkdir -p "$component"
    ${lib.concatMapStrings push archives}
    blackfriday workload push "$registry/blackfriday/workload:${version}" ${workload} --reference-file "$component/workload"
  '';
}
