# Every test, with the real Kafka and the real Valkey on the sandbox's loopback. Left out are the page in a browser, which
# a sandbox has no fonts and no namespaces for, the README's table, which has a check of its own, and what wants a registry.
{
  lib,
  apacheKafka,
  jre_headless,
  valkey,
  craneLib,
  rust,
}:
craneLib.cargoNextest (
  rust
  // {
    nativeBuildInputs = rust.nativeBuildInputs ++ [ jre_headless ];
    # The tests of whole processes look for the programs beside themselves.
    preCheck = "cargo build --locked --workspace --bins --tests";
    cargoNextestExtraArgs = lib.escapeShellArgs [
      "-E"
      "not (binary(/^(artifact|image|reference|registry)$/) | package(blackfriday-cli) & test(/^doctor::registry::/) | package(blackfriday-dashboard) & test(/^(connection|page)::/))"
    ];
    BLACKFRIDAY_KAFKA_HOME = apacheKafka;
    BLACKFRIDAY_VALKEY_SERVER = lib.getExe' valkey "valkey-server";
  }
)
