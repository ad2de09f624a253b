"""Compares what users may do, wherever it is said: the KafkaUsers, the job kafka-setup, generate.sh, and the files under
crates/ with which the services' own tests run.
"""

import json
from pathlib import Path

import yaml

CRATES = Path(__file__).resolve().parents[2] / "crates"
RIGHTS = ("configure", "write", "read")
# A reader without a group names this one to Kafka's client; without permission it reads on, and hears of an error.
UNUSED_GROUP = ("Describe", "Group", "blackfriday-unused")


def compare(tree):
    """Every difference."""
    by_operator = of_kafka_users(tree / "components/kafka-strimzi")
    by_job = of_setup_job(tree / "components/kafka-plain/setup.job.yaml")
    for user in sorted(by_operator.keys() | by_job.keys()):
        if by_operator.get(user) != by_job.get(user):
            yield f"kafka-plain and kafka-strimzi differ in what {user} may do"
    for file in sorted((CRATES / "broker/acl").glob("*.acl")):
        tested = {tuple(line.split()) for line in file.read_text().splitlines()}
        if least(by_operator.get(file.stem, set())) != least(tested):
            yield f"kafka-strimzi gives {file.stem} other permissions than {file.relative_to(CRATES.parent)}"
    definitions = (tree / "generated/secrets/rabbitmq-definitions.json").read_text()
    yield from of_rabbitmq(definitions, (CRATES / "broker/acl/rabbitmq.permissions").read_text())
    valkey = of_store(tree / "generated/secrets/users.acl")
    redis = of_store(tree / "generated/secrets/redis-users.acl")
    for file in sorted((CRATES / "store/acl").glob("*.acl")):
        tested = rules(file.read_text())
        # Redis holds weather alone, and its users are called by what they do there.
        of_redis = file.stem.removeprefix("clima-") if file.stem.startswith("clima-") else None
        users = [("Redis", of_redis, redis)] if of_redis else [("Valkey", file.stem, valkey)]
        if of_redis and file.stem in valkey:
            users.append(("Valkey", file.stem, valkey))
        for server, user, known in users:
            if known.get(user) != tested:
                yield f"generate.sh gives {user} of {server} other permissions than {file.relative_to(CRATES.parent)}"


def of_rabbitmq(definitions, tested):
    """Here only weather is in RabbitMQ, and who sends dead letters again is not who proves."""
    given = {one["user"]: {right: one[right] for right in RIGHTS} for one in json.loads(definitions)["permissions"]}
    wanted = {}
    for line in (line for line in tested.splitlines() if line and not line.startswith("#")):
        user, rights = line.split(": ")
        rights = dict(word.split("=", 1) for word in rights.split())
        streams = (
            rights if user == "admin" else {name: of.replace("(ventas|clima)", "clima") for name, of in rights.items()}
        )
        wanted[user] = streams
    wanted["redrive"] = dict(wanted["verify"])
    wanted["verify"]["write"] = "^$"
    for user in sorted(given.keys() | wanted.keys()):
        if given.get(user) != wanted.get(user):
            yield f"generate.sh gives {user} of RabbitMQ other permissions than crates/broker/acl/rabbitmq.permissions"


def least(permissions):
    """Without what Kafka adds by itself: who may read or write may describe."""
    implied = {("Describe", kind, name) for operation, kind, name in permissions if operation in ("Read", "Write")}
    return permissions - implied - {UNUSED_GROUP}


def of_kafka_users(folder):
    found = {}
    for file in folder.glob("*.kafka-user.yaml"):
        user = yaml.safe_load(file.read_text())
        found[user["metadata"]["name"]] = {
            (operation, acl["resource"]["type"].capitalize(), acl["resource"]["name"])
            for acl in user["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        }
    return found


def of_setup_job(file):
    found = {}
    for container in yaml.safe_load(file.read_text())["spec"]["template"]["spec"]["initContainers"]:
        words = container["args"]
        given = [(flag[2:], value) for flag, value in zip(words, words[1:]) if flag.startswith("--")]
        for _, principal in (pair for pair in given if pair[0] == "allow-principal"):
            found.setdefault(principal.removeprefix("User:"), set()).update(
                (operation, kind.capitalize(), name)
                for flag, operation in given
                if flag == "operation"
                for kind, name in given
                if kind in ("topic", "group")
            )
    return found


def of_store(file):
    return {line.split()[1]: rules(line) for line in file.read_text().splitlines()}


def rules(line):
    return {word for word in line.split()[2:] if not word.startswith("#")}
