#!/usr/bin/env bash
# Runs the chain until a signal ends it, or one of its programs ends, which is an error. README.md says the rest.
set -euo pipefail

: "${KAFKA_BROKERS:?}" "${TOPIC:?}" "${PORT:?}"

cd "$(dirname "${BASH_SOURCE[0]}")/target/release"

# All of 127.0.0.0/8 is loopback: each hop has the port that was chosen for the API, on an address of its own.
readonly API=127.0.0.1:$PORT CLIENT=127.0.0.2:$PORT WRITER=127.0.0.3:$PORT

trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits until the program that was started last listens.
until_listening() {
    until (: <"/dev/tcp/${1/://}") 2>/dev/null; do
        kill -0 $! 2>/dev/null || exit 1
        sleep 0.1
    done
}

LISTEN=$WRITER ./writer &
until_listening "$WRITER"
LISTEN=$CLIENT GRPC_SERVER_ADDR=$WRITER ./client &
until_listening "$CLIENT"
if [[ -n ${VALKEY_URL:-} ]]; then
    ./consumer &
fi
LISTEN=$API GO_SERVICE_URL=http://$CLIENT ./chain-api &

wait -n || true
echo "chain: one of the programs has ended" >&2
exit 1
