# Valkey as server and as Sentinel, for clusters without virtual machines. Static: the image is three files.
{ pkgsStatic, image }:
image {
  name = "valkey";
  inherit (pkgsStatic.valkey) version;
  description = "Valkey: valkey-server, valkey-sentinel, valkey-cli";
  contents = [ pkgsStatic.valkey ];
  entrypoint = [ "/bin/valkey-server" ];
  ports = [
    6379
    26379
  ];
}
