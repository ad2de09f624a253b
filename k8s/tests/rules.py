#!/usr/bin/env python3
"""What must hold of every rendering: usage: rules.py TREE RENDERED

TREE is k8s/ with the overlays that were rendered, RENDERED the folder of the results. Prints every violation; exit code
1 if there is any.
"""

import base64
import hashlib
import json
import re
import sys
from pathlib import Path

import yaml

import arrows
import helm
import permissions
import releases
from releases import namespace

WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")


def main():
    tree, rendered = map(Path, sys.argv[1:])
    violations = list(of_files(tree)) + list(of_texts(tree)) + list(permissions.compare(tree))
    violations += list(releases.compare(tree, rendered / "operators"))
    for file in sorted(rendered.glob("*.yaml")):
        objects = [one for one in yaml.safe_load_all(file.read_text()) if one]
        folder = tree / "overlays" / file.stem
        found = list(of_objects(objects))
        if folder.exists():
            found += list(arrows.compare(tree, objects, components(folder)))
            found += list(of_version(tree, objects))
            found += list(of_partitions(objects)) + list(of_weather(objects)) + list(of_scalers(objects))
            found += (
                list(of_restarts(objects))
                + list(of_entries(objects))
                + list(of_workloads(objects))
                + list(of_hosts(objects))
            )
            if "grafana-helm" in components(folder):
                found += list(helm.compare(tree, objects))
        violations += [f"{file.stem}: {violation}" for violation in found]
    for violation in violations:
        print(f"rules: {violation}", file=sys.stderr)
    return 1 if violations else 0


def components(folder):
    """The names of all components that this folder takes in, and what they take in."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
    paths = [(folder / entry).resolve() for entry in listed.get("components", [])]
    # What generate.sh writes takes in none.
    taken = [path for path in paths if path.name != "generated"]
    return {path.name for path in taken}.union(*map(components, taken))


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
            if rule["annotations"].get("runbook_url") != f"{runbook(tree)}#{rule['alert'].lower()}":
                yield f"the alert {rule['alert']} does not link to its section of docs/operations.md"
    yield from of_scaler(tree, rules)
    uids = set()
    for file in sorted((tree / "components").glob("*/dashboards/*.json")):
        dashboard = json.loads(file.read_text())
        if dashboard["uid"] in uids:
            yield f"{file.name}: another dashboard has the uid {dashboard['uid']}"
        uids.add(dashboard["uid"])
        panels = [panel["id"] for panel in dashboard["panels"]]
        if len(panels) != len(set(panels)):
            yield f"{file.name}: two panels have the same id"
        links = [link["url"] for link in dashboard["links"] if link["type"] == "link"]
        if links != [page(tree), runbook(tree)]:
            yield f"{file.name} does not link to the page and the runbook, {page(tree)} and {runbook(tree)}"


def runbook(tree):
    manifest = (tree.parent / "Cargo.toml").read_text()
    repository = re.search(r'^repository = "(.+)"$', manifest, re.MULTILINE)[1]
    return f"{repository}/blob/main/docs/operations.md"


def page(tree):
    ingress = yaml.safe_load((tree / "components/ingress-nginx/dashboard.ingress.yaml").read_text())
    return f"http://{ingress['spec']['rules'][0]['host']}/"


def of_scaler(tree, rules):
    """What is said of the gateways' autoscaler is what it is told to do."""
    gateway = yaml.safe_load((tree / "base/gateway/deployment.yaml").read_text())
    cores = (
        float(gateway["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"].removesuffix("m"))
        / 1000
    )
    scaler = yaml.safe_load((tree / "base/gateway/horizontal-pod-autoscaler.yaml").read_text())
    share = scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] / 100
    if f"> {share} * {cores}\n" not in rules_by_name(rules)["GatewaysAtTheirLimit"]["expr"] + "\n":
        yield f"the alert GatewaysAtTheirLimit does not compare with what the autoscaler aims for: {share} * {cores}"
    if (
        f'job=\\"gateway\\"}}[1m])) / {cores}"'
        not in (tree / "components/grafana/dashboards/operation.json").read_text()
    ):
        yield f"the dashboard Operation does not compare with what a gateway requests: {cores}"
    most = scaler["spec"]["maxReplicas"]
    if f") >= {most}\n" not in rules_by_name(rules)["GatewaysAtTheirLimit"]["expr"]:
        yield f"the alert GatewaysAtTheirLimit does not count up to maxReplicas: {most}"
    dashboard = json.loads((tree / "components/grafana/dashboards/operation.json").read_text())
    asked = [query["expr"] for panel in dashboard["panels"] for query in panel.get("targets", [])]
    wanted = f"/ {cores} / {share}), {scaler['spec']['minReplicas']}, {most})"
    if not any(wanted in query for query in asked) or not any(f"or vector({most})" in query for query in asked):
        yield f"the dashboard Operation does not say what the autoscaler wants: {wanted}"


def rules_by_name(rules):
    return {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}


def of_texts(tree):
    """Images that come without a registry are found by the workspace's version, which is the tag that Nix gives them; and a
    variable that no program reads would set nothing, without a word."""
    root = Path(__file__).resolve().parents[2]
    version = re.search(r'^version = "(.+)"$', (root / "Cargo.toml").read_text(), re.MULTILINE)[1]
    pages = [page for folder in ("docs", "bench", "locust") for page in (root / folder).rglob("*.md")]
    for document in sorted([*pages, *root.glob("*.md"), *tree.rglob("*.md")]):
        for named in re.findall(r"\bcomponents/([a-z0-9-]+)", document.read_text()):
            if not (tree / "components" / named).is_dir():
                yield f"{document.name} names components/{named}, which is not there"
        for command in releases.unchecked(document.read_text()):
            yield f"{document.name} takes what is applied from the network, without a hash: {command}"
    known = set(re.findall(r"^\| `(\w+)` \|", (root / "docs/configuration.md").read_text(), re.MULTILINE))
    for folder in ("base", "components", "overlays"):
        for file in sorted((tree / folder).rglob("*.yaml")):
            where, text = file.relative_to(tree), file.read_text()
            for image, tag in re.findall(r"image: (blackfriday/[\w-]+):(\S+)", text):
                if tag != version:
                    yield f"{where}: {image} has the tag {tag}, and the workspace's version is {version}"
            for variable in sorted(set(re.findall(r"\bBLACKFRIDAY_\w+", text)) - known):
                yield f"{where}: no program reads {variable}: see docs/configuration.md"


def of_version(tree, objects):
    """Every object says which version it is of; no selector does, which could not change."""
    version = re.search(r'^version = "(.+)"$', (tree.parent / "Cargo.toml").read_text(), re.MULTILINE)[1]
    for one in objects:
        if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "deployment"):
            told = json.loads(one["data"]["deployment.json"])[0]["labels"]
            if told["version"] != version or not re.fullmatch("[0-9a-f]{12}", told["images"]):
                yield f"Prometheus is told that {told} is deployed, and it is {version}"
        if one["metadata"].get("labels", {}).get("app.kubernetes.io/version") != version.replace("+", "_"):
            yield f"{one['kind']} {one['metadata']['name']} does not say its version"
        selector = one.get("spec", {}).get("selector") or {}
        if "app.kubernetes.io/version" in json.dumps(selector):
            yield f"{one['kind']} {one['metadata']['name']} selects by version"


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
        elif one["kind"] == "RabbitmqCluster":
            found = of_rabbitmq(one, names)
        elif one["kind"] == "KubeVirt":
            gates = one["spec"]["configuration"]["developerConfiguration"]["disabledFeatureGates"]
            found = [] if "ImageVolume" in gates else ["mounts disks as image volumes, which not every cluster can"]
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
    words = " ".join(container.get("command", []) + container.get("args", []))
    for variable in container.get("env", []):
        if "secretKeyRef" in variable.get("valueFrom", {}) and f"$({variable['name']})" in words:
            yield f"has the secret {variable['name']} on its command line"
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
    elif not re.search(r"@sha256:[0-9a-f]{64}$", image):
        yield f"has an image without a digest: {image}"
    elif not image.startswith("registry.test:5000/") and not re.search(r":[^/:@]+@", image):
        yield f"has an image of others without a tag beside its digest: {image}"
    elif ":latest" in image:
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
        # This one is read again when it changes.
        if kind == "ConfigMap" and name != "deployment" and not re.search(r"-[a-z0-9]{10}$", name):
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


def of_rabbitmq(cluster, names):
    spec = cluster["spec"]
    yield from of_image(spec["image"])
    volumes = spec["override"]["statefulSet"]["spec"]["template"]["spec"]["volumes"]
    for secret in (spec["tls"]["secretName"], *(volume["secret"]["secretName"] for volume in volumes)):
        if ("Secret", namespace(cluster), secret) not in names:
            yield f"wants the Secret {secret}, which is not there"
    if spec["resources"]["requests"]["memory"] != spec["resources"]["limits"]["memory"]:
        yield "asks for less memory than it may use, by which it sets its own limit"


def of_ingress(ingress):
    if ingress["spec"].get("ingressClassName") != "nginx":
        yield "is not of class nginx"
    for rule in ingress["spec"]["rules"]:
        if not rule.get("host") and not ingress["metadata"]["name"].endswith("-any-host"):
            yield "answers to every host"


def of_partitions(objects):
    """A consumer without a partition would have nothing to do."""
    partitions = {}
    consumers = {"consumer": "ventas", "kafka-consumer": "clima"}
    limits = []
    for one in objects:
        name, kind = one["metadata"]["name"], one["kind"]
        if kind == "KafkaTopic":
            partitions[name] = one["spec"]["partitions"]
        elif (kind, name) == ("Job", "kafka-setup"):
            pod = one["spec"]["template"]["spec"]
            for arguments in (container["args"] for container in pod["initContainers"] + pod["containers"]):
                if "--create" in arguments:
                    topic = arguments[arguments.index("--topic") + 1]
                    partitions[topic] = int(arguments[arguments.index("--partitions") + 1])
        elif kind == "Deployment" and name in consumers:
            limits.append((name, "replicas", one["spec"].get("replicas", 1)))
        elif kind == "ScaledObject" and name in consumers:
            limits.append((name, "maxReplicaCount of KEDA", one["spec"]["maxReplicaCount"]))
        elif kind == "HorizontalPodAutoscaler" and name in consumers:
            limits.append((name, "maxReplicas", one["spec"]["maxReplicas"]))
    for name, what, count in limits:
        topic = consumers[name]
        if topic not in partitions:
            yield f"nothing makes the topic {topic}"
        elif count > partitions[topic]:
            yield f"{name}: {what} {count} is more than the {partitions[topic]} partitions of {topic}"


def of_weather(objects):
    """Each topic of a store has one log to be counted from: two would count on top of each other."""
    names = {one["metadata"]["name"] for one in objects if one["kind"] == "Deployment"}
    settings = {one["metadata"]["name"].rsplit("-", 1)[0]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    if "rabbit-consumer" in names and settings["consumer-config"].get("BLACKFRIDAY_CONSUMER_TOPICS") != "ventas":
        yield "consumer and rabbit-consumer both count weather into Valkey, out of two logs"
    gateway = settings["gateway-config"]
    if "rabbit-writer" in names and gateway.get("BLACKFRIDAY_GATEWAY_UPSTREAM") == "writer":
        for log in ("KAFKA", "RABBITMQ"):
            variable = f"BLACKFRIDAY_WEATHER_{log}_TARGET"
            if gateway.get(variable) != settings["relay-config"][variable]:
                yield f"gateways send weather elsewhere than relays do: {variable}"
    keyed = settings.get("kafka-writer-config", {}).get("BLACKFRIDAY_TOPIC_WEATHER_KEYED_PARTITIONS", "1")
    if "kafka-writer" in names and keyed != "2":
        yield "kafka-writer leaves a partition of clima without reports, all of which have a key"


def of_scalers(objects):
    """What scales a workload is alone in it: the manifests do not say how many, and nothing else scales it."""
    scaled = {}
    for one in objects:
        if one["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            scaled.setdefault((namespace(one), one["spec"]["scaleTargetRef"]["name"]), []).append(one["kind"])
    for one in objects:
        scalers = scaled.pop((namespace(one), one["metadata"]["name"]), None) if one["kind"] == "Deployment" else None
        if scalers and "replicas" in one["spec"]:
            yield f"Deployment {one['metadata']['name']} has replicas of its own, and {scalers[0]}"
        if scalers and len(scalers) > 1:
            yield f"Deployment {one['metadata']['name']} is scaled by {' and '.join(scalers)}"
    for space, name in scaled:
        yield f"something scales {space}/{name}, which is not there"


def of_restarts(objects):
    """A pod that reads a Secret says in an annotation what was in it, so that it is replaced when that changes."""
    secrets = {(namespace(one), one["metadata"]["name"]): one["data"] for one in objects if one["kind"] == "Secret"}
    for one in objects:
        if one["kind"] not in ("Deployment", "StatefulSet", "RabbitmqCluster"):
            continue
        if one["kind"] == "RabbitmqCluster":
            described = one["spec"]["override"]["statefulSet"]["spec"]["template"]
            read = {one["spec"]["tls"]["secretName"]: None}
        else:
            described = template(one)
            read = secrets_read(described["spec"])
        for secret, keys in read.items():
            data = secrets.get((namespace(one), secret), {})
            lines = sorted(
                f"{key} {hashlib.sha256(base64.b64decode(value)).hexdigest()}\n"
                for key, value in data.items()
                if keys is None or key in keys
            )
            wanted = hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
            if described.get("metadata", {}).get("annotations", {}).get(f"blackfriday/secret-{secret}") != wanted:
                yield f"{one['kind']} {one['metadata']['name']} goes on with an old Secret {secret} after a change"


def secrets_read(pod):
    """Each Secret by name, with the keys that are mounted, or None for all."""
    read = {}
    for volume in pod.get("volumes", []):
        sources = [source["secret"] for source in volume.get("projected", {}).get("sources", []) if "secret" in source]
        for source in [volume["secret"]] if "secret" in volume else sources:
            keys = [item["key"] for item in source["items"]] if "items" in source else None
            read[source.get("secretName") or source["name"]] = keys
    return read


def of_entries(objects):
    """Where clients come in, nobody believes what they say of identities and deadlines."""
    settings = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap" and "data" in one}
    backends = set()
    for one in objects:
        if one["kind"] == "Ingress":
            for rule in one["spec"]["rules"]:
                backends |= {path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
        elif one["kind"] == "HTTPRoute":
            backends |= {ref["name"] for rule in one["spec"]["rules"] for ref in rule["backendRefs"]}
    for one in objects:
        if one["kind"] != "Deployment" or one["metadata"]["name"] not in backends:
            continue
        for container in template(one)["spec"]["containers"]:
            given = {}
            for source in container.get("envFrom", []):
                given |= settings.get(source.get("configMapRef", {}).get("name"), {})
            given |= variables(container)
            if given.get("BLACKFRIDAY_RELAY_TRUST_HOPS") == "true":
                yield f"Deployment {one['metadata']['name']} trusts clients as if they were hops"


def of_hosts(objects):
    """A certificate is for the name that its Ingress answers to."""
    hosts = {}
    for one in objects:
        if one["kind"] == "Ingress":
            for tls in one["spec"].get("tls", []):
                hosts[namespace(one), tls["secretName"]] = {rule["host"] for rule in one["spec"]["rules"]}
    for one in objects:
        if one["kind"] == "Certificate":
            wanted = hosts.pop((namespace(one), one["spec"]["secretName"]), set())
            if wanted != set(one["spec"]["dnsNames"]):
                yield f"Certificate {one['metadata']['name']} is for {one['spec']['dnsNames']}, its Ingress for {wanted}"
    for space, secret in hosts:
        yield f"nothing makes the certificate {space}/{secret}"


def of_workloads(objects):
    """Locust sells what was pushed, by its digest."""
    for one in objects:
        if one["kind"] == "Deployment" and one["metadata"]["name"].startswith("locust-"):
            workload = variables(template(one)["spec"]["containers"][0]).get("BLACKFRIDAY_WORKLOAD", "")
            if not re.fullmatch(r"oci://[^/]+/blackfriday/workload@sha256:[0-9a-f]{64}", workload):
                yield f"Deployment {one['metadata']['name']} does not pull its workload by digest: {workload}"


def variables(container):
    return {variable["name"]: variable.get("value") for variable in container.get("env", [])}


if __name__ == "__main__":
    sys.exit(main())
