"""Compares what users may do, wherever it is said: the KafkaUsers, the job kafka-setup, generate.sh, and the files under
crates/ with which the services' own tests run.
"""

from pathlib import Path

import yaml

CRATES = Path(__file__).resolve().parents[2] / "crates"
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
    users = of_valkey(tree / "generated/secrets/users.acl")
    for file in sorted((CRATES / "store/acl").glob("*.acl")):
        if users.get(file.stem) != rules(file.read_text()):
            yield f"generate.sh gives {file.stem} other permissions than {file.relative_to(CRATES.parent)}"


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


def of_valkey(file):
    return {line.split()[1]: rules(line) for line in file.read_text().splitlines()}


def rules(line):
    return {word for word in line.split()[2:] if not word.startswith("#")}
