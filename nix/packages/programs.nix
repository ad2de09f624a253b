# Each program by itself, so that an image holds that one and nothing else.
{
  lib,
  runCommand,
  workspace,
}:
let
  program = binary: description: programWith binary description "";
  programWith =
    binary: description: more:
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
        ${more}
      '';
  # Where shells and man look; what is in them the program knows by itself.
  completionsAndPages = ''
    blackfriday=$out/bin/blackfriday
    $blackfriday completions bash > bash
    $blackfriday completions zsh > zsh
    $blackfriday completions fish > fish
    $blackfriday man pages
    install -D -m 444 bash $out/share/bash-completion/completions/blackfriday
    install -D -m 444 zsh $out/share/zsh/site-functions/_blackfriday
    install -D -m 444 fish $out/share/fish/vendor_completions.d/blackfriday.fish
    install -D -m 444 -t $out/share/man/man1 pages/*.1
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
  blackfriday =
    programWith "blackfriday" "Demo, load, verification and deployment of blackfriday"
      completionsAndPages;
}
