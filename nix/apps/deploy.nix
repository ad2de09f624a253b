# Brings everything into a cluster: nix run .#deploy -- --overlay NAME --registry HOST[:PORT] [ARGUMENTS OF deploy...]
#
# From the root of the repository, where k8s/ is. Only the images that the overlay needs are built, when it runs: which
# these are, deploy says.
{
  lib,
  writeShellApplication,
  curl,
  kubectl,
  kustomize,
  openssl,
  programs,
  workload,
}:
let
  # As the images are tagged.
  tag = lib.replaceStrings [ "+" ] [ "_" ] programs.blackfriday.version;
in
writeShellApplication {
  name = "deploy";
  runtimeInputs = [
    programs.blackfriday
    curl
    kubectl
    kustomize
    openssl
  ];
  text = ''
    flake=''${BLACKFRIDAY_FLAKE:-.}
    built=(build --no-link --print-out-paths)
    attribute=
    for word in "$@"; do
      case $word in
        -h | --help | --list-images) exec blackfriday deploy "$@" ;;
        # Where an image would be is known before it is built.
        --dry-run)
          built=(eval --raw)
          attribute=.outPath
          ;;
      esac
    done
    names=$(blackfriday deploy "$@" --list-images)
    images=()
    for name in $names; do
      output=image-''${name#blackfriday/}
      if [[ $output == image-valkey-disk ]]; then output=image-disk; fi
      path=$(nix "''${built[@]}" "$flake#$output$attribute")
      images+=(--images "$path=$name:${tag}")
    done
    exec blackfriday deploy --workload ${workload} "''${images[@]}" "$@"
  '';
}
