# Everything that there is for one system, each leaf with the arguments that it names.
{ pkgs, crane }:
let
  inherit (pkgs) lib;
  craneLib = import ./toolchain.nix { inherit crane pkgs; };
  source = import ./source.nix { inherit lib; };

  workspace = pkgs.callPackage ./packages/workspace.nix { inherit craneLib source; };
  programs = import ./packages/programs.nix {
    inherit (pkgs) lib runCommand;
    inherit workspace;
  };
  valkeyDisk = import ./disk {
    inherit pkgs;
    inherit (source.toml.workspace.package) version;
  };
  images = import ./images { inherit pkgs programs; };
  named = lib.mapAttrs' (name: image: lib.nameValuePair "image-${name}" image) images;

  shell = pkgs.callPackage ./shell.nix { inherit craneLib workspace; };
in
{
  inherit shell;
  packages =
    programs
    // named
    // {
      inherit workspace;
      default = programs.blackfriday;
    }
    # Alpine's kernel and root are pinned for this one.
    // lib.optionalAttrs pkgs.stdenv.hostPlatform.isx86_64 {
      inherit (valkeyDisk) disk;
      image-disk = valkeyDisk.image;
    };
  checks = import ./checks {
    inherit
      pkgs
      craneLib
      workspace
      source
      programs
      images
      ;
  };
  apps = import ./apps {
    inherit pkgs programs images;
    disk = lib.optional pkgs.stdenv.hostPlatform.isx86_64 valkeyDisk.image;
    outputs = lib.attrNames (named // { inherit workspace; });
  };
}
