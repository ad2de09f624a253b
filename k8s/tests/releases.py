"""Holds what operators/ makes of the makers' releases against what must be so of it, and pages against what they may
fetch."""

import json
import re

import yaml

# By `blackfriday deploy`; the others are installed by hand.
DEPLOYED = ("kubevirt", "rabbitmq", "strimzi")
WORKLOADS = ("Deployment", "DaemonSet", "Job")
PINNED = re.compile(r"[\w.-]+\.[\w.-]+/[\w./-]+:[^/:@]+@sha256:[0-9a-f]{64}")
# It would take a tag with a digest behind it for its version, and is told the version in a variable.
WITHOUT_TAG = re.compile(r"quay\.io/kubevirt/virt-operator@sha256:[0-9a-f]{64}")


def compare(tree, rendered):
    """Every violation in the releases, in the folders that take them in, and in what was rendered of stand-ins."""
    addresses = read(tree)
    yield from of_list(tree, addresses)
    yield from of_folders(tree, addresses)
    files = {file.stem: file for file in sorted(rendered.glob("*.yaml"))}
    if set(files) != set(addresses):
        yield f"operators/releases has {sorted(addresses)}, and tests/releases {sorted(files)}"
    for name, file in files.items():
        objects = [one for one in yaml.safe_load_all(file.read_text()) if one]
        listed = yaml.safe_load((tree / "operators" / name / "kustomization.yaml").read_text())
        found = list(of_images(objects))
        if name in addresses:
            found += list(of_tags(tree / "operators" / name, addresses[name]))
        if name in DEPLOYED:
            found += list(of_deployed(name, objects))
            if f"../../generated/operators/{name}" not in listed.get("components", []):
                found.append("it does not take in what generate.sh makes for it")
        yield from (f"operators/{name}: {violation}" for violation in found)
    yield from of_broker(tree)
    yield from of_webhooks(rendered / "rabbitmq.yaml")


def read(tree):
    """Names and addresses of the releases whose lines can be read."""
    lines = [line.split() for line in (tree / "operators/releases").read_text().splitlines()]
    return {line[0]: line[2] for line in lines if len(line) == 3 and re.fullmatch("[0-9a-f]{64}", line[1])}


def of_list(tree, addresses):
    lines = [line for line in (tree / "operators/releases").read_text().splitlines() if not line.startswith("#")]
    if len(addresses) != len(lines):
        yield "operators/releases: a line is not a name, a SHA-256 and an address, or a name is there twice"


def of_folders(tree, addresses):
    """Nothing is taken from the network but releases, and these by their hashes."""
    wanting = set()
    for file in sorted(tree.rglob("kustomization.yaml")):
        listed = yaml.safe_load(file.read_text())
        for entry in listed.get("resources", []) + listed.get("components", []):
            if re.match(r"https?:|git|[\w.-]+\.\w+/", entry):
                yield f"{file.relative_to(tree)} takes {entry} from the network, without a hash"
            if entry == "release.yaml":
                wanting.add(file.parent.name)
    if wanting != set(addresses):
        yield f"operators/releases has {sorted(addresses)}, and folders want {sorted(wanting)}"


def of_images(objects):
    """Every image that starts, of a container or by a variable or an argument for one, has tag and digest."""
    for title, image in named(objects):
        if not PINNED.fullmatch(image) and not WITHOUT_TAG.fullmatch(image):
            yield f"{title}: {image} has not both tag and digest"


def of_tags(folder, address):
    """What we name is of the release: its operator would start another version's."""
    version = re.search(r"/(?:controller-)?v?(\d+\.\d+\.\d+)/", address)[1]
    text = "".join(file.read_text() for file in sorted(folder.rglob("kustomization.yaml")))
    told = re.findall(r"newTag: (\S+)|:([^\s/:@]+)@sha256:|_VERSION\n +value: (\S+)", text)
    if "quay.io/kubevirt/virt-operator@" in text and not any(one[2] for one in told):
        yield "virt-operator has no tag, and KUBEVIRT_VERSION is not told"
    for tag in ("".join(one) for one in told):
        if not re.fullmatch(rf"v?{re.escape(version)}(-.+)?", tag):
            yield f"{tag} is named, and the release is {version}"


def named(objects):
    """Which workload names which image."""
    for one in objects:
        if one["kind"] not in WORKLOADS:
            continue
        title = f"{one['kind']} {one['metadata']['name']}"
        pod = one["spec"]["template"]["spec"]
        for container in pod["containers"] + pod.get("initContainers", []):
            yield title, container["image"]
            for variable in container.get("env", []):
                if variable["name"].endswith("_IMAGE") and "value" in variable:
                    yield title, variable["value"]
            told = dict(argument.split("=", 1) for argument in container.get("args", []) if "=" in argument)
            yield from ((title, value) for name, value in told.items() if name.endswith("-image"))


def of_deployed(name, objects):
    """It is known as ours, and its roles go to the account that it runs by."""
    accounts = {f"{namespace(one)}/{one['metadata']['name']}" for one in objects if one["kind"] == "ServiceAccount"}
    for one in objects:
        title = f"{one['kind']} {one['metadata']['name']}"
        if one["metadata"].get("labels", {}).get("blackfriday/operator") != name:
            yield f"{title} has no label blackfriday/operator: {name}"
        if one["apiVersion"].startswith(("admissionregistration.k8s.io/", "cert-manager.io/")):
            yield f"{title} is left in, and nobody makes the certificate that it is about"
        for subject in one.get("subjects", []):
            if f"{subject['namespace']}/{subject['name']}" not in accounts:
                yield f"{title} is for an account that is not there: {subject['namespace']}/{subject['name']}"
        if one["kind"] == "Deployment":
            pod = one["spec"]["template"]["spec"]
            account = f"{namespace(one)}/{pod['serviceAccountName']}"
            if account not in accounts:
                yield f"{title} runs by an account that is not there: {account}"
            if "requiredDuringScheduling" in json.dumps(one):
                yield f"{title} has no node where none has the role that it requires"
            volumes = {volume["name"] for volume in pod.get("volumes", [])}
            for container in pod["containers"]:
                for mount in container.get("volumeMounts", []):
                    if mount["name"] not in volumes:
                        yield f"{title} mounts {mount['name']}, which is not there"
            # None of the releases brings a Secret; cert-manager would have made the one that was asked for.
            secrets = [volume["secret"] for volume in pod.get("volumes", []) if "secret" in volume]
            if any(not secret.get("optional") for secret in secrets):
                yield f"{title} waits for a Secret that nobody makes"


def of_webhooks(file):
    """RabbitmqClusters are not refused for want of an answer: the operator is told that it has none to give."""
    (operator,) = (one for one in yaml.safe_load_all(file.read_text()) if one and one["kind"] == "Deployment")
    told = operator["spec"]["template"]["spec"]["containers"][0].get("env", [])
    if {"name": "ENABLE_WEBHOOKS", "value": "false"} not in told:
        yield "operators/rabbitmq: the operator waits for a certificate of its webhooks"


def of_broker(tree):
    """Brokers are of the version that the object says, and of the image that the operator is told, tag and digest: a
    copy of it in our registry is kept by the name alone."""
    kafka = yaml.safe_load((tree / "components/kafka-strimzi/kafka.yaml").read_text())["spec"]["kafka"]
    told = (tree / "operators/strimzi/images/kustomization.yaml").read_text()
    if set(re.findall(r"value: (quay\.io/strimzi/kafka:\S+)", told)) != {kafka["image"]}:
        yield f"operators/strimzi/images has another image of Kafka than components/kafka-strimzi, {kafka['image']}"
    if not kafka["image"].partition("@")[0].endswith(f"-kafka-{kafka['version']}"):
        yield f"components/kafka-strimzi has Kafka {kafka['version']} and the image {kafka['image']}"


def unchecked(text):
    """Commands that apply what comes from the network, whatever it is."""
    flag = r"\s(?:-f|-k|--filename|--kustomize)"
    ways = (
        rf"kubectl[^\n]*{flag}\b[^\n]*https?://\S*",
        rf"kubectl[^\n]*{flag}[ =]*\S+\?ref=\S*",
        r"(?:curl|wget)[^\n]*\|\s*kubectl[^\n]*",
    )
    text = text.replace("\\\n", " ")
    return [command for way in ways for command in re.findall(way, text)]


def namespace(one):
    return one["metadata"].get("namespace", "")
