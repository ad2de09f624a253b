# Kafka in KRaft mode, for clusters without Strimzi: the jars and a Java, without Kafka's shell scripts.
#
#   kafka.tools.StorageTool format --ignore-formatted --cluster-id ID --config FILE   # once, before
#   kafka.Kafka FILE [--override KEY=VALUE]...
{
  apacheKafka,
  jre_headless,
  runCommand,
  image,
  version,
}:
let
  jars = runCommand "kafka-jars-${apacheKafka.version}" { } ''
    mkdir -p $out/opt/kafka
    cp -r ${apacheKafka}/libs $out/opt/kafka/libs
  '';
in
image {
  inherit version;
  name = "kafka";
  description = "Apache Kafka ${apacheKafka.version} in KRaft mode";
  contents = [ jars ];
  entrypoint = [
    "${jre_headless}/bin/java"
    "-cp"
    "/opt/kafka/libs/*"
  ];
  env.JAVA_TOOL_OPTIONS = "-XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true";
  ports = [
    9092
    9093
  ];
}
