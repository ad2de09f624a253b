# Everything that there is for one system, each leaf with the arguments that it names.
{
  pkgs,
  crane,
  # Cargo's, of the programs.
  profile ? "release",
  # Whether they are optimized by a profile of themselves.
  profiled ? false,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv) hostPlatform;
  craneLib = import ./toolchain.nix { inherit crane pkgs; };
  source = import ./source.nix { inherit lib; };

  # What nixpkgs lacks, or has in another form.
  kafka = pkgs.callPackage ./packages/kafka.nix { };
  locust = pkgs.callPackage ./packages/locust.nix { };
  valkeyStatic = pkgs.callPackage ./packages/valkey-static.nix { };
  zot = pkgs.callPackage ./packages/zot.nix { };
  # By these, demo and tests find the servers.
  servers = {
    BLACKFRIDAY_KAFKA_HOME = "${kafka.home}";
    BLACKFRIDAY_RABBITMQ_HOME = "${pkgs.rabbitmq-server}";
    BLACKFRIDAY_REDIS_SERVER = lib.getExe' pkgs.redis "redis-server";
    BLACKFRIDAY_VALKEY_SERVER = lib.getExe' pkgs.valkey "valkey-server";
    JAVA_HOME = "${kafka.java}";
  };

  build =
    arguments:
    pkgs.callPackage ./packages/workspace.nix ({ inherit craneLib source profile; } // arguments);
  workspace =
    if profiled then
      pkgs.callPackage ./packages/profiled.nix { inherit build servers; }
    else
      build { };
  programs = import ./packages/programs.nix {
    inherit (pkgs) lib runCommand;
    inherit workspace;
  };
  valkeyDisk = import ./disk {
    inherit pkgs;
    inherit (source.toml.workspace.package) version;
    valkey = valkeyStatic;
    valkeyConfig = programs.valkey-config;
  };
  images = import ./images {
    inherit
      pkgs
      programs
      kafka
      locust
      ;
    valkey = valkeyStatic;
  };
  named = lib.mapAttrs' (name: image: lib.nameValuePair "image-${name}" image) images;

  shell =
    programs:
    pkgs.callPackage ./shell.nix {
      inherit
        craneLib
        workspace
        programs
        locust
        zot
        servers
        ;
    };
  shells = {
    # The guides call blackfriday by its name. Its programs are for Linux.
    default = shell (lib.optional hostPlatform.isLinux programs.blackfriday);
    # Without it: who changes the code does not want it built before the shell opens.
    code = shell [ ];
  };

  packages =
    programs
    // named
    // {
      inherit workspace;
      default = programs.blackfriday;
    }
    # Alpine's kernel and root are pinned for this one.
    // lib.optionalAttrs hostPlatform.isx86_64 {
      inherit (valkeyDisk) disk;
      image-disk = valkeyDisk.image;
    };
  apps = import ./apps {
    inherit
      pkgs
      programs
      images
      servers
      zot
      ;
    disk = lib.optional hostPlatform.isx86_64 valkeyDisk.image;
    outputs = lib.attrNames (named // { inherit workspace; });
  };
in
{
  inherit packages apps shells;
  formatter = pkgs.callPackage ./formatter.nix { };
  checks = import ./checks {
    inherit
      pkgs
      craneLib
      workspace
      source
      programs
      images
      apps
      kafka
      locust
      servers
      ;
    disk = lib.optionalAttrs hostPlatform.isx86_64 { disk = valkeyDisk.image; };
    shell = shells.default;
    outputs = lib.attrNames (packages // apps // shells);
  };
}
