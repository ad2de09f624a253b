# OCI images, each from nothing but the closure of its programs: no package manager, no user but a number.
# No commit id and no time of build stand inside, so equal sources give equal digests.
{
  pkgs,
  programs,
  kafka,
  locust,
  # Linked with nothing shared.
  valkey,
}:
let
  inherit (programs.blackfriday) version;
  image = pkgs.callPackage ./image.nix { };
  service =
    name: ports:
    pkgs.callPackage ./service.nix {
      inherit image name ports;
      program = programs.${name};
    };
in
{
  gateway = service "gateway" {
    BLACKFRIDAY_GATEWAY_LISTEN = 8080;
    BLACKFRIDAY_ADMIN_LISTEN = 9080;
  };
  relay = service "relay" {
    BLACKFRIDAY_RELAY_LISTEN = 8081;
    BLACKFRIDAY_ADMIN_LISTEN = 9081;
  };
  writer = service "writer" {
    BLACKFRIDAY_WRITER_LISTEN = 50051;
    BLACKFRIDAY_ADMIN_LISTEN = 9082;
  };
  consumer = service "consumer" { BLACKFRIDAY_ADMIN_LISTEN = 9083; };
  dashboard = service "dashboard" {
    BLACKFRIDAY_DASHBOARD_LISTEN = 8090;
    BLACKFRIDAY_ADMIN_LISTEN = 9084;
  };
  # The jobs, and the first container of Valkey's pods: of the command's verbs, those that a cluster runs.
  verify = service "verify" { };
  load = service "load" { };
  valkey-config = service "valkey-config" { };

  valkey = pkgs.callPackage ./valkey.nix { inherit image valkey; };
  kafka = pkgs.callPackage ./kafka.nix { inherit image version kafka; };
  rabbitmq = pkgs.callPackage ./rabbitmq.nix { inherit image version; };
  redis = pkgs.callPackage ./redis.nix { inherit image version; };
  locust = pkgs.callPackage ./locust.nix { inherit image version locust; };
  grafana = pkgs.callPackage ./grafana.nix { inherit image version; };
}
