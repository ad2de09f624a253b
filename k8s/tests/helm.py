"""Holds the values of Grafana's Helm chart against the components that give the same Grafana."""

import re

import yaml

COMPONENTS = ("grafana", "grafana-redis")
PAGE = re.compile(r"//dashboard\.[a-z0-9.-]+/")


def compare(tree, objects):
    """Every difference between helm/grafana-values.yaml, the components, and a rendering with components/grafana-helm."""
    values = yaml.safe_load((tree / "helm/grafana-values.yaml").read_text())
    yield from of_sources(tree, values)
    yield from of_plugins(tree, values)
    yield from of_dashboards(tree, values, objects)
    yield from of_secret(values, objects)
    service = values["service"]
    if (service["type"], service["port"], service["targetPort"]) != ("LoadBalancer", 80, 3000):
        yield "helm: the Service is not a load balancer from 80 to 3000"
    for kind in ("Deployment", "Service", "ServiceAccount"):
        if any(one["kind"] == kind and one["metadata"]["name"] == "grafana" for one in objects):
            yield f"helm: components/grafana-helm leaves a {kind} that the chart brings, too"


def of_sources(tree, values):
    wanted = [
        source
        for component in COMPONENTS
        for file in sorted((tree / "components" / component).glob("datasource*.yaml"))
        for source in yaml.safe_load(file.read_text())["datasources"]
    ]
    found = [source for file in values["datasources"].values() for source in file["datasources"]]
    for source in wanted:
        if source not in found:
            yield f"helm: the data source {source['name']} is not that of the components"
    for source in found:
        if source not in wanted:
            yield f"helm: no component has the data source {source['name']} of the values"


def of_plugins(tree, values):
    """The same release of Grafana, with the same releases of the plugins."""
    (deployment,) = yaml.safe_load_all((tree / "components/grafana/deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    release = re.search(r"/grafana:([0-9.]+)@sha256:(\w+)$", container["image"]).groups()
    if (values["image"]["tag"], values["image"]["sha"]) != release:
        yield f"helm: Grafana {values['image']} is not that of components/grafana, {release}"
    patch = yaml.safe_load((tree / "components/grafana-redis/deployment.patch.yaml").read_text())
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    wanted = {entry["name"]: entry["value"] for entry in container["env"]}["GF_PLUGINS_PREINSTALL_SYNC"]
    if values["grafana.ini"]["plugins"]["preinstall_sync"] != wanted:
        yield f"helm: the plugins are not those of components/grafana-redis, {wanted}"


def of_dashboards(tree, values, objects):
    """The ConfigMap that is mounted has each dashboard of the components, and nothing else; the home is one of them."""
    (provider,) = (one for file in values["dashboardProviders"].values() for one in file["providers"])
    folder = f"/var/lib/grafana/dashboards/{provider['name']}"
    if provider["options"]["path"] != folder or set(values["dashboardsConfigMaps"]) != {provider["name"]}:
        yield f"helm: the chart mounts dashboards at {folder}, where no provider looks"
    name = values["dashboardsConfigMaps"][provider["name"]]
    maps = {one["metadata"]["name"]: one for one in objects if one["kind"] == "ConfigMap"}
    if name not in maps:
        yield f"helm: there is no ConfigMap {name}"
        return
    # The page's host is what generate.sh --domain says.
    found = {name: PAGE.sub("//dashboard/", text) for name, text in maps[name]["data"].items()}
    wanted = {
        file.name: PAGE.sub("//dashboard/", file.read_text())
        for component in COMPONENTS
        for file in (tree / "components" / component / "dashboards").glob("*.json")
    }
    for dashboard in sorted(wanted.keys() | found.keys()):
        if wanted.get(dashboard) != found.get(dashboard):
            yield f"helm: the ConfigMap {name} and the components differ in {dashboard}"
    home = values["grafana.ini"]["dashboards"]["default_home_dashboard_path"]
    if home not in [f"{folder}/{dashboard}" for dashboard in found]:
        yield f"helm: {home} is not mounted"


def of_secret(values, objects):
    """Each file of a secret that is named is there."""
    (mount,) = values["extraSecretMounts"]
    keys = [
        key
        for one in objects
        if one["kind"] == "Secret" and one["metadata"]["name"] == mount["secretName"]
        for key in one["data"]
    ]
    for key in sorted(set(re.findall(re.escape(mount["mountPath"]) + r"/([\w.-]+)", str(values)))):
        if key not in keys:
            yield f"helm: the Secret {mount['secretName']} has no {key}"
