"""Pods that try each server from each client's place in the network, and what came of them.

usage: probes.py count | make IMAGE FIRST COUNT | over <PODS | table PODS... | judge PODS...
The variable PROBES_COMPONENTS names the overlay's components.

Each pod has a client's labels and a container for each server. What connects is `blackfriday-load`, which ends with 69 if
nothing answers on that address. It has no way to speak to most of these servers: that it was let through is all. Its second
try counts: until a network plugin knows a new pod, it has neither its rights nor its bounds.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import arrows

COMPONENTS = {"base", *os.environ["PROBES_COMPONENTS"].split()}
if any(component.startswith("rabbitmq-") for component in COMPONENTS):
    COMPONENTS.add("rabbitmq-common")
KAFKA = "blackfriday-kafka-bootstrap" if "kafka-strimzi" in COMPONENTS else "kafka-0.kafka"
# By arrows.txt's names. Each has a client that is let in, so that a refusal is not merely its absence.
SERVERS = {
    "blackfriday/gateway 8080/TCP": "gateway.blackfriday",
    "blackfriday/relay 8081/TCP": "relay.blackfriday",
    "blackfriday/writer 50051/TCP": "writer-a.blackfriday",
    "kafka/kafka 9092/TCP": f"{KAFKA}.kafka",
    "valkey/sentinel 26379/TCP": "sentinel-0.sentinel.valkey",
    "valkey/valkey 6379/TCP": "valkey-0.valkey",
}
if "clima" in COMPONENTS:
    SERVERS |= {
        "blackfriday/kafka-writer 50052/TCP": "kafka-writer.blackfriday",
        "blackfriday/rabbit-writer 50051/TCP": "rabbit-writer.blackfriday",
        "rabbitmq/clima-rabbit 5551/TCP": "clima-rabbit-server-0.clima-rabbit-nodes.rabbitmq",
        "redis/redis 6379/TCP": "redis-0.redis.redis",
    }
# The last of each namespace is in no arrow at all.
CLIENTS = [
    *(f"blackfriday/{name}" for name in ("gateway", "relay", "writer", "consumer", "dashboard", "verify", "stranger")),
    *(f"kafka/{name}" for name in ("kafka", "kafka-setup", "stranger")),
    *(f"valkey/{name}" for name in ("valkey", "sentinel", "stranger")),
    "monitoring/stranger",
]
if "clima" in COMPONENTS:
    CLIENTS += [
        *(f"blackfriday/{log}-{role}" for log in ("kafka", "rabbit") for role in ("writer", "consumer")),
        *(f"rabbitmq/{name}" for name in ("clima-rabbit", "rabbitmq-setup", "stranger")),
        *(f"redis/{name}" for name in ("redis", "stranger")),
    ]
UNREACHABLE = 69
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def make(image, first, count):
    pods = [pod(client, image) for client in CLIENTS[first : first + count]]
    json.dump({"apiVersion": "v1", "kind": "List", "items": pods}, sys.stdout)


def pod(client, image):
    namespace, name = client.split("/")
    labels = {"app.kubernetes.io/name": name, "blackfriday.test/probe": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": f"probe-{name}", "labels": labels},
        "spec": {
            "restartPolicy": "OnFailure",
            "activeDeadlineSeconds": 240,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [probe(server, image) for server in SERVERS],
        },
    }


def probe(server, image):
    end, port = server.split()
    number = port.split("/")[0]
    url = f"http://{SERVERS[server]}.svc.cluster.local:{number}"
    return {
        "name": container_name(server),
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--url", url, "--sales", "1", "--connections", "1", "--timeout", "1s"],
        # Never: a Service must not take it for one of its own.
        "readinessProbe": {"tcpSocket": {"port": 1}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": RESTRICTED,
    }


def container_name(server):
    return server.split("/")[1].split()[0]


def over(pods):
    return len(pods) > 0 and all(len(tries(one)) == len(SERVERS) for one in pods)


def tries(one):
    """The second try of each container, as far as it is done; what had no need of one does not make it."""
    found = {}
    for status in one["status"].get("containerStatuses", []):
        ended = status["state"].get("terminated")
        if "waiting" in status["state"]:
            ended = status["lastState"].get("terminated")
        if ended and (ended["exitCode"] == 0 or status["restartCount"] > 0):
            found[status["name"]] = ended
    return found


def results(pods):
    """(client, server) -> whether it was let through. What ended in another way is an error."""
    found = {}
    for one in pods:
        client = f"{one['metadata']['namespace']}/{one['metadata']['labels']['app.kubernetes.io/name']}"
        for server in SERVERS:
            state = tries(one)[container_name(server)]
            message = state.get("message", "")
            if state["exitCode"] not in (0, 1, UNREACHABLE) or "look up" in message:
                sys.exit(f"{client} to {server}: exit code {state['exitCode']}: {message}")
            found[client, server] = state["exitCode"] != UNREACHABLE
    return found


def expected():
    listed = arrows.read(Path(arrows.__file__).with_name("arrows.txt"), COMPONENTS)
    return {(client, server): (client, *server.split()) in listed for client in CLIENTS for server in SERVERS}


def print_table(pods):
    found, wanted = results(pods), expected()
    print("| from | " + " | ".join(SERVERS) + " |\n|---" + "|---" * len(SERVERS) + "|")
    for client in CLIENTS:
        cells = []
        for server in SERVERS:
            word = "open" if found[client, server] else "–"
            cells.append(word if found[client, server] == wanted[client, server] else f"**{word}: WRONG**")
        print(f"| {client} | " + " | ".join(cells) + " |")


def judge(pods):
    found, wanted = results(pods), expected()
    wrong = [f"{client} to {server}" for (client, server), let in found.items() if let != wanted[client, server]]
    opened = sum(found.values())
    print(
        f"{len(found)} connections tried: {opened} let through, {len(found) - opened} not; {len(wrong)} against arrows.txt."
    )
    if wrong:
        sys.exit(f"wrong: {', '.join(wrong)}")


if __name__ == "__main__":
    command = sys.argv[1]
    if command == "count":
        print(len(CLIENTS))
    elif command == "make":
        make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    elif command == "over":
        sys.exit(not over(json.load(sys.stdin)["items"]))
    else:
        listed = [one for file in sys.argv[2:] for one in json.loads(Path(file).read_text())["items"]]
        {"table": print_table, "judge": judge}[command](listed)
