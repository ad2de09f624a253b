#!/usr/bin/env bash
# usage: quick-start.sh HOME OUT
#
# Starts the Kafka in HOME (libs/ is inside) once and leaves in OUT what makes a later start of a single node cheap:
#   kafka.jsa              the classes that it loaded, as an archive of the JVM (JEP 310)
#   bootstrap.checkpoint   the features that a formatted storage begins with, the same for every cluster
# Both hold for this HOME, this version of Kafka and this Java. crates/stack looks for them in HOME/quick-start.
set -euo pipefail

home=$1 out=$2
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
start_limit_s=120
folder=$(mktemp -d)
broker=
trap 'kill -KILL ${broker:-} 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'cat "$folder/log" >&3' ERR

# As crates/stack runs it, which the archive must fit. Log4j without a configuration tells errors only.
kafka=("$java" -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.awt.headless=true
    -Dorg.apache.logging.log4j.level=INFO -cp "$home/libs/*")

write_properties() {
    local port=$((20000 + RANDOM % 10000))
    cat >"$folder/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 10000))
controller.quorum.voters=1@127.0.0.1:$((port + 10000))
log.dirs=$folder/data
END
}

# Whether it served before it ended: it ends at once if one of its ports is taken.
start() {
    rm -rf "$folder/data"
    write_properties
    "${kafka[@]}" kafka.tools.StorageTool format --cluster-id MkU3OEVBNTcwNTJENDM2Qg \
        --config "$folder/server.properties"
    "${kafka[@]}" -Xshare:off "-XX:DumpLoadedClassList=$folder/classes" kafka.Kafka "$folder/server.properties" &
    broker=$!
    local begun=$SECONDS
    until grep -q 'Kafka Server started' "$folder/log"; do
        kill -0 "$broker" 2>/dev/null && ((SECONDS - begun < start_limit_s)) || return 1
        sleep 0.2
    done
}

touch "$folder/log"
exec 3>&1 >"$folder/log" 2>&1
start || start || start
kill "$broker"
wait "$broker" || true
broker=
mkdir -p "$out"
# A static archive: a dynamic one builds on the JVM's own, which a Java of few modules lacks.
"${kafka[@]}" -Xshare:dump "-XX:SharedClassListFile=$folder/classes" "-XX:SharedArchiveFile=$out/kafka.jsa"
mv "$folder/data/bootstrap.checkpoint" "$out"
