# nix run .#NAME
{
  pkgs,
  programs,
  images,
  disk,
  # Where Kafka, Java, RabbitMQ, Valkey and Redis are, as variables.
  servers,
  zot,
  outputs,
}:
let
  inherit (pkgs) lib;
  app = description: script: {
    type = "app";
    program = lib.getExe script;
    meta = { inherit description; };
  };
  # What goes into a registry: where it is, and what it is called there.
  archive = image: {
    file = image;
    reference = "${image.imageName}:${image.imageTag}";
  };
  workload = ../../crates/workload/assets/black-friday.toml;
  push =
    name: description: pushed:
    app description (
      pkgs.callPackage ./push.nix {
        inherit programs name workload;
        archives = map archive pushed;
      }
    );
  # What the overlay plain has no use for: Grafana's, which is large, and the disk.
  plain = lib.attrValues (lib.removeAttrs images [ "grafana" ]);
  # A command of ours, with the variables of what it starts, and of nothing else. Our own may be set otherwise by who calls;
  # JAVA_HOME is other programs', too, and may be a Java that is too old.
  command =
    name: words: variables: description:
    let
      set =
        variable: value:
        if lib.hasPrefix "BLACKFRIDAY_" variable then
          "export ${variable}=\"\${${variable}:-${value}}\"\n"
        else
          "export ${variable}=${value}\n";
    in
    app description (
      pkgs.writeShellApplication {
        name = "blackfriday-${name}";
        text = ''
          ${lib.concatStrings (lib.mapAttrsToList set variables)}
          exec ${lib.getExe programs.blackfriday} ${words} "$@"
        '';
      }
    );
  registry = {
    BLACKFRIDAY_ZOT = lib.getExe zot;
  };
  demo = command "demo" "demo" servers "Run the whole pipeline, send a flash sale, prove the count";
in
{
  inherit demo;
  default = demo;
  deploy = app "Bring everything into a Kubernetes cluster, wait until it works, prove it" (
    pkgs.callPackage ./deploy.nix { inherit programs workload; }
  );
  load = command "load" "load" { } "Send sales at a fixed rate or as fast as they are answered";
  push = push "push" "Push the images, the disk and the workload to a registry" (
    lib.attrValues images ++ disk
  );
  push-plain = push "push-plain" "The same without the disk of the VM and without Grafana" plain;
  reproduce = app "Build everything twice, compare, print a table of digests" (
    pkgs.callPackage ./reproduce.nix { inherit outputs; }
  );
  zot = command "zot" "registry" registry "Run an OCI registry of one's own: Zot, TLS, a password";
  verify = command "verify" "verify" { } "Compare what was accepted with the log and the counters";
}
