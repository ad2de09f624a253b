# nix run .#NAME
{
  pkgs,
  programs,
  images,
  disk,
  outputs,
}:
let
  inherit (pkgs) lib;
  app = description: script: {
    type = "app";
    program = lib.getExe script;
    meta = { inherit description; };
  };
  # What goes into a registry: where it lies, and what it is called there.
  archive = image: {
    file = image;
    reference = "${image.imageName}:${image.imageTag}";
  };
  withImages =
    leaf: name: description: pushed:
    app description (
      pkgs.callPackage leaf {
        inherit programs name;
        archives = map archive pushed;
        workload = ../../crates/workload/assets/black-friday.toml;
      }
    );
  push = withImages ./push.nix;
  deploy = withImages ./deploy.nix;
  # A command of ours, with Kafka and Valkey at hand.
  command =
    name: words: description:
    app description (
      pkgs.writeShellApplication {
        name = "blackfriday-${name}";
        text = ''
          export BLACKFRIDAY_KAFKA_HOME=''${BLACKFRIDAY_KAFKA_HOME:-${pkgs.apacheKafka}}
          export BLACKFRIDAY_VALKEY_SERVER=''${BLACKFRIDAY_VALKEY_SERVER:-${lib.getExe' pkgs.valkey "valkey-server"}}
          export BLACKFRIDAY_ZOT=''${BLACKFRIDAY_ZOT:-${lib.getExe pkgs.zot}}
          export JAVA_HOME=''${JAVA_HOME:-${pkgs.jre_headless}}
          exec ${lib.getExe programs.blackfriday} ${words} "$@"
        '';
      }
    );
in
{
  default = command "demo" "demo" "Run the whole pipeline, send a flash sale, prove the count";
  demo = command "demo" "demo" "Run the whole pipeline, send a flash sale, prove the count";
  deploy = deploy "deploy" "Bring everything into a Kubernetes cluster, wait until it works, prove it" (
    lib.attrValues images ++ disk
  );
  deploy-plain = deploy "deploy-plain" "The same without the disk of the VM" (lib.attrValues images);
  load = command "load" "load" "Send sales at a fixed rate or as fast as they are answered";
  push = push "push" "Push every image, the disk and the workload to a registry" (
    lib.attrValues images ++ disk
  );
  push-plain = push "push-plain" "The same without the disk of the VM" (lib.attrValues images);
  reproduce = app "Build everything twice, compare, print a table of digests" (
    pkgs.callPackage ./reproduce.nix { inherit outputs; }
  );
  zot = command "zot" "registry" "Run an OCI registry of one's own: Zot with TLS and a password";
  verify = command "verify" "verify" "Compare what was accepted with the log and the counters";
}
