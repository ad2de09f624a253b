# Every test, with the real Kafka, RabbitMQ, Valkey and Redis on the sandbox's loopback. Left out are the page in a
# browser, which a sandbox has no fonts and no namespaces for, the tables of the configuration, which have a check of their
# own, and what wants a registry, schemathesis, libfaketime, curl or clients in Go and Python.
{
  lib,
  craneLib,
  rust,
  # Variables that say where Kafka, Java, RabbitMQ, Valkey and Redis are.
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
      "not (binary(/^(artifact|grpc_clients|image|mirror|openapi|readme|reference|registry)$/) | package(blackfriday-cluster) & test(/^doctor::registry::/) | package(blackfriday-gateway) & test(/^catalogue::a_catalogue_is_pulled/) | package(blackfriday-stack) & test(/^a_child_can_have_a_clock_of_its_own_which_is_moved_while_it_runs$/) | package(blackfriday-lab) & test(/^a_short_run_of_every_kind_holds$/) | package(blackfriday-dashboard) & test(/^(connection|page)::|^names::a_registry_|_page_has_/))"
    ];
  }
)
