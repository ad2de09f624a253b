# What runs Kafka: its jars and a Java of the modules that they use. nixpkgs' apacheKafka brings shell scripts and a whole
# JDK along, and its jre_headless is one.
{
  apacheKafka,
  jdk_headless,
  jre_minimal,
  runCommand,
}:
let
  inherit (apacheKafka) version;
  jars = runCommand "kafka-jars-${version}" { } ''
    mkdir -p $out/opt/kafka
    cp -r ${apacheKafka}/libs $out/opt/kafka/libs
  '';
  # As JAVA_HOME wants it: bin/java is inside.
  java = jre_minimal.override {
    # That of a desktop is linked with GTK.
    jdk = jdk_headless;
    # The first six are what jdeps finds in Kafka's jars.
    modules = [
      "java.base"
      "java.logging"
      "java.management"
      "java.security.jgss"
      "java.security.sasl"
      "jdk.unsupported"
      # Log4j does not start without java.beans, which is in this one.
      "java.desktop"
      "java.naming"
      "java.xml"
      # Elliptic curves, by which TLS 1.3 agrees on keys; found by its provider's name only.
      "jdk.crypto.ec"
    ];
  };
in
{
  inherit version jars java;
  # As BLACKFRIDAY_KAFKA_HOME wants it: libs/ is inside, and what makes a start cheap.
  home = runCommand "kafka-home-${version}" { JAVA_HOME = "${java}"; } ''
    mkdir $out
    ln -s ${jars}/opt/kafka/libs $out/libs
    bash ${../../tools/kafka/quick-start.sh} $out $out/quick-start
  '';
}
