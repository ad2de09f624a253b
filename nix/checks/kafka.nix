# Kafka starts on the Java that it is given and says so, and the programs of Kafka that the manifests name are there.
{
  runCommand,
  kafka,
  source,
}:
runCommand "kafka" { } ''
  kafka() {
    ${kafka.java}/bin/java -Xmx300m -Djava.awt.headless=true -Dlog4j2.configurationFile=${../images/log4j2.properties} \
      -cp '${kafka.home}/libs/*' "$@"
  }

  # The first of a container's arguments.
  classes=$(grep -rhE '^ *- (org\.apache\.)?kafka\.([a-z]+\.)*[A-Z][A-Za-z]+$' ${source.manifests}/k8s/components/kafka-plain | sed 's/.*- //' | sort -u)
  echo "$classes" | grep -x kafka.Kafka
  for class in $classes; do
    # Some end their help with 1.
    kafka $class --help >help 2>&1 || true
    if grep -E 'Could not find or load|ClassNotFound|NoClassDefFound' help; then echo "$class does not run"; exit 1; fi
    grep -Ei 'usage|option' help >/dev/null || { echo "$class says:"; cat help; exit 1; }
  done

  cat >server.properties <<END
  process.roles=broker,controller
  node.id=1
  controller.quorum.voters=1@127.0.0.1:9093
  listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
  controller.listener.names=CONTROLLER
  log.dirs=$PWD/log
  END
  kafka kafka.tools.StorageTool format --cluster-id MkU3OEVBNTcwNTJENDM2Qg --config server.properties
  kafka kafka.Kafka server.properties >out 2>&1 &
  broker=$!
  timeout 120 bash -c 'until grep -q "Kafka Server started" out; do sleep 0.2; done' || { cat out; exit 1; }
  kafka org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:9092 --create --topic ventas
  kill $broker
  wait $broker || true
  touch $out
''
