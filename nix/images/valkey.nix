# Valkey as server and as Sentinel, for clusters without virtual machines. Static: the image is three files.
{ valkey, image }:
image {
  name = "valkey";
  inherit (valkey) version;
  description = "Valkey: valkey-server, valkey-sentinel, valkey-cli";
  license = "BSD-3-Clause";
  contents = [ valkey ];
  entrypoint = [ "/bin/valkey-server" ];
  ports = [
    6379
    26379
  ];
}
