# Alpine's releases, by hash.
{ fetchurl }:
let
  branch = "3.24";
  version = "3.24.1";
  release =
    name: hash:
    fetchurl {
      url = "https://dl-cdn.alpinelinux.org/alpine/v${branch}/releases/x86_64/alpine-${name}-${version}-x86_64.tar.gz";
      sha256 = hash;
    };
in
{
  inherit version;
  minirootfs = release "minirootfs" "41f73e3cf5fa919b8aa5ca6b30dc48f0da2720776d7423e2a7748211456fe081";
  # Kernel and modules.
  netboot = release "netboot" "9a7769ea8fa1737b1b49d82f1bdd53d0a17338d6d3b7cfc6f2c3ec5158596d8b";
}
