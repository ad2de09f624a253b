# Every test, with the real Kafka and the real Valkey on the sandbox's loopback. Left out are the page in a browser, which
# a sandbox has no fonts and no namespaces for, the README's table, which has a check of its own, and what wants a registry.
{
  lib,
  craneLib,
  rust,
  # Variables that say where Kafka, Java and Valkey are.
  servers,
}:
craneLib.cargoNextest (
  rust
  // servers
  // {
    # The tests of whole processes look for the programs beside themselves.
    preCheck = "cargo build --locked --workspace --bins --tests";
    cargoNextestExtraArgs = lib.escapeShellArgs [
      "-E"
      "not (binary(/^(artifact|image|reference|registry)$/) | package(blackfriday-cli) & test(/^doctor::registry::/) | package(blackfriday-dashboard) & test(/^(connection|page)::/))"
    ];
  }
)
