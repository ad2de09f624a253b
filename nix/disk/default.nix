# The disk of the Valkey VM and its image for KubeVirt, see docs/disk.md. What comes from Alpine are arguments, so that
# another release, or another kernel that is laid out as kernel.nix does it, can be put in.
{
  pkgs,
  version,
  # Linked with nothing shared: there is no library on the disk.
  valkey,
  # Our program that writes Valkey's configuration; comes with its libraries.
  valkeyConfig,
  alpine ? pkgs.callPackage ./alpine.nix { },
  kernel ? pkgs.callPackage ./kernel.nix { inherit (alpine) netboot; },
}:
let
  initramfs = pkgs.callPackage ./initramfs.nix {
    inherit (alpine) minirootfs;
    inherit kernel valkey valkeyConfig;
    glibc = pkgs.stdenv.cc.libc;
  };
  disk = pkgs.callPackage ./image.nix { inherit kernel initramfs; };
in
{
  inherit disk;
  image = pkgs.callPackage ./container-disk.nix { inherit disk version; };
}
