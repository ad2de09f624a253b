# Every test, with the real Kafka, Valkey and Redis on the sandbox's loopback. Left out are the page in a browser, which
# a sandbox has no fonts and no namespaces for, the tables of the configuration, which have a check of their own, and what
# wants a registry.
{
  lib,
  craneLib,
  rust,
  # Variables that say where Kafka, Java, Valkey and Redis are.
  servers,
}:
craneLib.cargoNextest (
  rust
  // servers
  // {
    # The tests of whole processes look for the programs in their own folder.
    preCheck = "cargo build --locked --workspace --bins --tests";
    cargoNextestExtraArgs = lib.escapeShellArgs [
      "-E"
      "not (binary(/^(artifact|image|reference|registry)$/) | package(blackfriday-cluster) & test(/^doctor::registry::/) | package(blackfriday-gateway) & test(/^catalogue::a_catalogue_is_pulled/) | package(blackfriday-dashboard) & test(/^(connection|page)::/))"
    ];
  }
)
