{
  description = "blackfriday: takes flash-sale traffic in over HTTP and counts every accepted sale exactly once";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    crane.url = "github:ipetkov/crane";
  };

  outputs =
    { nixpkgs, crane, ... }:
    let
      inherit (nixpkgs) lib;
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      # Where one can write code, but not build what runs.
      all = linux ++ [ "aarch64-darwin" ];
      # nix/default.nix is the index of everything that there is for one system.
      project = system: import ./nix (of system);
      of = system: {
        inherit crane;
        pkgs = nixpkgs.legacyPackages.${system};
      };
    in
    {
      # Programs, images (image-*) and the disk of the Valkey VM: nix build .#gateway .#image-gateway .#disk
      packages = lib.genAttrs linux (system: (project system).packages);
      # nix flake check
      checks = lib.genAttrs linux (system: (project system).checks);
      legacyPackages = lib.genAttrs linux (system: {
        # The same checks, with programs that are not optimized: .ci/run builds these.
        quick-checks = (import ./nix (of system // { profile = "quick"; })).checks;
        # The same packages, optimized by a profile of the services: nix build .#profiled.image-gateway
        profiled = (import ./nix (of system // { profiled = true; })).packages;
      });
      # nix run .#demo, .#load, .#push, .#deploy, .#reproduce, .#zot
      apps = lib.genAttrs linux (system: (project system).apps);
      # nix develop, and nix develop .#code without the command itself
      devShells = lib.genAttrs all (system: (project system).shells);
      # nix fmt
      formatter = lib.genAttrs all (system: (project system).formatter);
    };
}
