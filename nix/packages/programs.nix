# Each program by itself, so that an image holds that one and nothing else.
{
  lib,
  runCommand,
  workspace,
}:
let
  program =
    binary: description:
    runCommand "${binary}-${workspace.version}"
      {
        inherit (workspace) version;
        pname = binary;
        meta = {
          inherit description;
          mainProgram = binary;
          license = lib.licenses.asl20;
          platforms = lib.platforms.linux;
        };
      }
      ''
        install -D -m 555 ${workspace}/bin/${binary} $out/bin/${binary}
      '';
in
lib.mapAttrs (name: program "blackfriday-${name}") {
  gateway = "REST in front of everything: takes sales in";
  relay = "REST in, gRPC out, balanced over all writers";
  writer = "gRPC in, acknowledged by Kafka before it answers";
  consumer = "Counts what is in Kafka into Valkey, exactly once";
  dashboard = "Read API and live page over Valkey";
  verify = "Compares what was acknowledged with the log and the counters";
  load = "Sends sales at a fixed rate or as fast as they are answered";
  valkey-config = "Writes the configuration of Valkey's servers and Sentinels";
}
// {
  blackfriday = program "blackfriday" "Demo, load, verification and deployment of blackfriday";
}
