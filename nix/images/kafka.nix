# Kafka in KRaft mode, for clusters without Strimzi: the jars and a Java, without Kafka's shell scripts.
#
#   kafka.tools.StorageTool format --ignore-formatted --cluster-id ID --config FILE   # once, before
#   kafka.Kafka FILE [--override KEY=VALUE]...
{
  runCommand,
  kafka,
  image,
  version,
}:
let
  log4j2 = runCommand "kafka-log4j2" { } ''
    install -D -m 444 ${./log4j2.properties} $out/opt/kafka/config/log4j2.properties
  '';
in
image {
  inherit version;
  name = "kafka";
  description = "Apache Kafka ${kafka.version} in KRaft mode";
  contents = [
    kafka.jars
    log4j2
  ];
  entrypoint = [
    "${kafka.java}/bin/java"
    "-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties"
    "-cp"
    "/opt/kafka/libs/*"
  ];
  env.JAVA_TOOL_OPTIONS = "-XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true";
  ports = [
    9092
    9093
  ];
}
