# Every test, with the real Kafka and the real Valkey on the sandbox's loopback. Two are left out: the page in a
# browser, which a sandbox has no fonts and no namespaces for, and the README's table, which has a check of its own.
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
    cargoNextestExtraArgs = "-E 'not (binary(reference) | test(/^page::/))'";
    BLACKFRIDAY_KAFKA_HOME = apacheKafka;
    BLACKFRIDAY_VALKEY_SERVER = lib.getExe' valkey "valkey-server";
  }
)
