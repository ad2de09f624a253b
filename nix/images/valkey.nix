# Valkey as server and as Sentinel, for clusters without virtual machines. Static: the image is three files.
{ valkey, image }:
image {
  name = "valkey";
  inherit (valkey) version;
  description = "Valkey: valkey-server, valkey-sentinel, valkey-cli";
  contents = [ valkey ];
  entrypoint = [ "/bin/valkey-server" ];
  ports = [
    6379
    26379
  ];
}
