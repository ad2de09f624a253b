#!/usr/bin/env python3
"""What must hold of every rendering: usage: rules.py TREE RENDERED

TREE is k8s/ with the overlays that were rendered, RENDERED the folder of the results. Prints every violation; exit code
1 if there is any.
"""

import json
import re
import sys
from pathlib import Path

import yaml

import arrows
import permissions

WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")


def main():
    tree, rendered = map(Path, sys.argv[1:])
    violations = list(of_files(tree)) + list(of_texts(tree)) + list(permissions.compare(tree))
    for file in sorted(rendered.glob("*.yaml")):
        objects = [one for one in yaml.safe_load_all(file.read_text()) if one]
        folder = tree / "overlays" / file.stem
        found = list(of_objects(objects))
        if folder.exists():
            found += list(arrows.compare(tree, objects, components(folder)))
            found += list(of_partitions(objects))
        violations += [f"{file.stem}: {violation}" for violation in found]
    for file in sorted(rendered.glob("operators/*.yaml")):
        objects = [one for one in yaml.safe_load_all(file.read_text()) if one]
        violations += [f"operators/{file.stem}: {violation}" for violation in of_operator(file.stem, objects)]
    for violation in violations:
        print(f"rules: {violation}", file=sys.stderr)
    return 1 if violations else 0


def of_operator(name, objects):
    """It is known as ours, and its roles go to the account that it runs by."""
    accounts = {f"{namespace(one)}/{one['metadata']['name']}" for one in objects if one["kind"] == "ServiceAccount"}
    for one in objects:
        title = f"{one['kind']} {one['metadata']['name']}"
        if one["metadata"].get("labels", {}).get("blackfriday/operator") != name:
            yield f"{title} has no label blackfriday/operator: {name}"
        for subject in one.get("subjects", []):
            if f"{subject['namespace']}/{subject['name']}" not in accounts:
                yield f"{title} is for an account that is not there: {subject['namespace']}/{subject['name']}"
        if one["kind"] == "Deployment":
            account = f"{namespace(one)}/{one['spec']['template']['spec']['serviceAccountName']}"
            if account not in accounts:
                yield f"{title} runs by an account that is not there: {account}"
            if "requiredDuringScheduling" in json.dumps(one):
                yield f"{title} has no node where none has the role that it requires"


def components(folder):
    """The names of all components that this folder takes in, and what they take in."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = set()
    for entry in listed.get("components", []):
        path = (folder / entry).resolve()
        found |= {path.name} | components(path)
    return found


def of_files(tree):
    """The alert rules for Prometheus' operator are the same, each alert is explained, and dashboards are JSON."""
    rules = yaml.safe_load((tree / "components/prometheus/rules.yaml").read_text())
    theirs = yaml.safe_load((tree / "components/pod-monitors/blackfriday.prometheus-rule.yaml").read_text())
    if theirs["spec"] != rules:
        yield "components/pod-monitors: the PrometheusRule differs from components/prometheus/rules.yaml"
    manual = (Path(__file__).resolve().parents[2] / "docs/operations.md").read_text()
    for group in rules["groups"]:
        for rule in group["rules"]:
            if f"### {rule['alert']}\n" not in manual:
                yield f"docs/operations.md has no section {rule['alert']}"
    uids = set()
    for file in sorted((tree / "components").glob("*/dashboards/*.json")):
        dashboard = json.loads(file.read_text())
        if dashboard["uid"] in uids:
            yield f"{file.name}: another dashboard has the uid {dashboard['uid']}"
        uids.add(dashboard["uid"])
        panels = [panel["id"] for panel in dashboard["panels"]]
        if len(panels) != len(set(panels)):
            yield f"{file.name}: two panels have the same id"


def of_texts(tree):
    """Images that come without a registry are found by the workspace's version, which is the tag that Nix gives them; and a
    variable that no program reads would set nothing, without a word."""
    root = Path(__file__).resolve().parents[2]
    version = re.search(r'^version = "(.+)"$', (root / "Cargo.toml").read_text(), re.MULTILINE)[1]
    known = set(re.findall(r"^\| `(\w+)` \|", (root / "docs/configuration.md").read_text(), re.MULTILINE))
    for folder in ("base", "components", "overlays"):
        for file in sorted((tree / folder).rglob("*.yaml")):
            where, text = file.relative_to(tree), file.read_text()
            for image, tag in re.findall(r"image: (blackfriday/[\w-]+):(\S+)", text):
                if tag != version:
                    yield f"{where}: {image} has the tag {tag}, and the workspace's version is {version}"
            for variable in sorted(set(re.findall(r"\bBLACKFRIDAY_\w+", text)) - known):
                yield f"{where}: no program reads {variable}: see docs/configuration.md"


def of_objects(objects):
    """Every object of its own, and its references to the others."""
    names = {(one["kind"], namespace(one), one["metadata"]["name"]) for one in objects}
    for one in objects:
        who = f"{one['kind']} {namespace(one)}/{one['metadata']['name']}"
        if one["kind"] in WORKLOADS:
            found = of_pod(one, names)
        elif one["kind"] == "Service":
            found = of_service(one, objects)
        elif one["kind"] == "VirtualMachine":
            found = of_machine(one, names)
        elif one["kind"] == "Ingress":
            found = of_ingress(one)
        elif one["kind"] == "ServiceAccount":
            found = [] if one.get("automountServiceAccountToken") is False else ["has a token"]
        elif one["kind"] == "Namespace":
            level = one["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
            found = [] if level else ["does not say its Pod Security level"]
        else:
            found = []
        for violation in found:
            yield f"{who} {violation}"


def template(workload):
    spec = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]


def of_pod(workload, names):
    pod = template(workload)["spec"]
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a token"
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "uses a namespace of its host"
    if ("ServiceAccount", namespace(workload), pod.get("serviceAccountName")) not in names:
        yield "has no account of its own"
    if "terminationGracePeriodSeconds" not in pod and workload["kind"] in ("Deployment", "StatefulSet"):
        yield "does not say how long it may take to stop"
    for container in pod.get("initContainers", []) + pod["containers"]:
        for violation in of_container(container):
            yield f"container {container['name']} {violation}"
    long_lived = workload["kind"] in ("Deployment", "StatefulSet")
    for container in pod["containers"]:
        is_client = container["name"] == "locust"
        if long_lived and not is_client and "readinessProbe" not in container:
            yield f"container {container['name']} has no readiness probe"
    yield from of_references(workload, pod, names)


def of_container(container):
    yield from of_image(container["image"])
    resources = container.get("resources", {})
    for which in ("requests", "limits"):
        for what in ("cpu", "memory"):
            if what not in resources.get(which, {}):
                yield f"has no {what} in {which}"
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"


def of_image(image):
    if image.startswith("blackfriday/"):
        yield f"has no digest: generate.sh or render.sh does not know {image}"
    elif "@sha256:" not in image and not re.search(r":[^/:]+$", image):
        yield f"has an image without a tag: {image}"
    elif image.endswith(":latest"):
        yield f"has the tag latest: {image}"


def of_references(workload, pod, names):
    """Every ConfigMap and Secret is there, and a ConfigMap has its content's hash in its name."""
    wanted = []
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is of its host"
        if "configMap" in volume:
            wanted.append(("ConfigMap", volume["configMap"]["name"]))
        if "secret" in volume:
            wanted.append(("Secret", volume["secret"]["secretName"]))
        for source in volume.get("projected", {}).get("sources", []):
            wanted += [("Secret", source["secret"]["name"])] if "secret" in source else []
    for container in pod.get("initContainers", []) + pod["containers"]:
        for source in container.get("envFrom", []):
            wanted += [("ConfigMap", source["configMapRef"]["name"])] if "configMapRef" in source else []
        for variable in container.get("env", []):
            key = variable.get("valueFrom", {}).get("secretKeyRef")
            wanted += [("Secret", key["name"])] if key else []
    for kind, name in wanted:
        if (kind, namespace(workload), name) not in names:
            yield f"wants {kind} {name}, which is not there"
        if kind == "ConfigMap" and not re.search(r"-[a-z0-9]{10}$", name):
            yield f"wants ConfigMap {name}, whose name has no hash of its content"


def of_service(service, objects):
    """It selects a workload, and its named ports are there."""
    selector = service["spec"]["selector"]
    chosen = []
    for one in objects:
        if namespace(one) != namespace(service) or one["kind"] not in ("Deployment", "StatefulSet", "VirtualMachine"):
            continue
        labels = (
            dict(template(one)["metadata"]["labels"])
            if one["kind"] != "VirtualMachine"
            else dict(one["spec"]["template"]["metadata"]["labels"])
        )
        if "statefulset.kubernetes.io/pod-name" in selector and one["kind"] == "StatefulSet":
            pods = [f"{one['metadata']['name']}-{n}" for n in range(one["spec"]["replicas"])]
            if selector["statefulset.kubernetes.io/pod-name"] in pods:
                chosen.append(one)
        elif selector.items() <= labels.items():
            chosen.append(one)
    if not chosen:
        yield "selects nothing"
    for port in service["spec"]["ports"]:
        for one in chosen:
            if isinstance(port.get("targetPort"), str) and one["kind"] != "VirtualMachine":
                ports = [
                    known["name"]
                    for container in template(one)["spec"]["containers"]
                    for known in container.get("ports", [])
                ]
                if port["targetPort"] not in ports:
                    yield f"has a target {port['targetPort']}, which {one['metadata']['name']} has not"


def of_machine(machine, names):
    spec = machine["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    yield from of_image(volumes["boot"]["containerDisk"]["image"])
    claim = volumes["data"]["persistentVolumeClaim"]["claimName"]
    if ("PersistentVolumeClaim", namespace(machine), claim) not in names:
        yield f"wants the claim {claim}, which is not there"
    secret = volumes["config"]["secret"]
    if ("Secret", namespace(machine), secret["secretName"]) not in names:
        yield f"wants the Secret {secret['secretName']}, which is not there"
    if secret["volumeLabel"] != "valkey-cfg":
        yield "has a configuration that the disk will not find"
    if {disk["name"]: disk.get("serial") for disk in spec["domain"]["devices"]["disks"]}["data"] != "data":
        yield "has a data disk without its serial"


def of_ingress(ingress):
    if ingress["spec"].get("ingressClassName") != "nginx":
        yield "is not of class nginx"
    for rule in ingress["spec"]["rules"]:
        if not rule.get("host"):
            yield "answers to every host"


def of_partitions(objects):
    """A consumer without a partition would have nothing to do."""
    partitions = None
    limits = {}
    for one in objects:
        name, kind = one["metadata"]["name"], one["kind"]
        if (kind, name) == ("KafkaTopic", "ventas"):
            partitions = one["spec"]["partitions"]
        elif (kind, name) == ("Job", "kafka-setup"):
            for container in one["spec"]["template"]["spec"]["containers"]:
                arguments = container["args"]
                if arguments[arguments.index("--topic") + 1] == "ventas":
                    partitions = int(arguments[arguments.index("--partitions") + 1])
        elif (kind, name) == ("Deployment", "consumer"):
            limits["replicas"] = one["spec"].get("replicas", 1)
        elif (kind, name) == ("ScaledObject", "consumer"):
            limits["maxReplicaCount of KEDA"] = one["spec"]["maxReplicaCount"]
    if partitions is None:
        yield "nothing makes the topic ventas"
        return
    for what, count in limits.items():
        if count > partitions:
            yield f"consumer: {what} {count} is more than the {partitions} partitions of ventas"


def namespace(one):
    return one["metadata"].get("namespace", "")


if __name__ == "__main__":
    sys.exit(main())
