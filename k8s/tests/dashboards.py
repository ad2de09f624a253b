#!/usr/bin/env python3
"""Holds every dashboard against Grafana's own types: usage: dashboards.py FILE...

Needs grafana-foundation-sdk. A member that Grafana does not know, or a word that its field cannot be, is an error. Options of
panels and queries of data sources that the types do not have (the list of alerts, Infinity, Redis) are taken as they are; what
those queries answer is tested in crates/store and crates/dashboard. Two panels that read the same rows each for itself are an
error, and so is a panel that shows fields which the panel that reads for it does not have.
"""

import enum
import json
import pathlib
import re
import sys
import typing

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# A panel of these has options, which its type must know.
UNTYPED = {"alertlist"}


def main():
    register_default_plugins()
    faults = 0
    for file in map(pathlib.Path, sys.argv[1:]):
        for fault in check(json.loads(file.read_text())):
            faults += 1
            print(f"{file}: {fault}", file=sys.stderr)
    return 1 if faults or len(sys.argv) < 2 else 0


def check(dashboard):
    written = dashboard | {"panels": [part for panel in dashboard["panels"] for part in parts(panel)]}
    read = Dashboard.from_json(written)
    understood = json.loads(JSONEncoder().encode(read))
    yield from lost(written, understood, "")
    yield from misspelt(read, "")
    yield from read_twice(dashboard)
    yield from fields_without_column(dashboard)
    for panel in read.panels or []:
        if panel.type_val not in UNTYPED and isinstance(getattr(panel, "options", None), dict):
            yield f"panel {panel.id_val}: no such panel: {panel.type_val}"


def parts(panel):
    """A panel of several data sources once for each, since its own says nothing of the queries."""
    if panel.get("datasource", {}).get("uid") != "-- Mixed --":
        return [panel]
    return [panel | {"datasource": query["datasource"], "targets": [query]} for query in panel["targets"]]


def read_twice(dashboard):
    """Rows that two panels read each for itself, and so at two instants: "-- Dashboard --" gives a panel those of another."""
    readers = {}
    for panel in dashboard["panels"]:
        for query in panel.get("targets", []):
            if "url" in query:
                readers.setdefault((query["url"], query.get("root_selector", "")), []).append(panel["id"])
    for (url, selector), panels in readers.items():
        if len(panels) > 1:
            yield f"panels {panels} read {url} {selector} each for itself"


def fields_without_column(dashboard):
    """What a panel picks out of the rows that another has read."""
    panels = {panel["id"]: panel for panel in dashboard["panels"]}
    for panel in dashboard["panels"]:
        wanted = panel.get("options", {}).get("reduceOptions", {}).get("fields", "").strip("/")
        readers = [panels[query["panelId"]] for query in panel.get("targets", []) if "panelId" in query] or [panel]
        columns = [
            column["text"]
            for reader in readers
            for query in reader.get("targets", [])
            for column in query.get("columns", [])
        ]
        if wanted and columns and not any(re.search(wanted, column) for column in columns):
            yield f"panel {panel['id']}: {wanted} is none of {', '.join(columns)}"


def lost(written, understood, at):
    """What was written and not understood."""
    if isinstance(written, dict):
        if not isinstance(understood, dict):
            yield f"{at}: not an object"
            return
        for name, value in written.items():
            if name not in understood:
                if value is not None:
                    yield f"{at}.{name}: Grafana knows no such member"
            else:
                yield from lost(value, understood[name], f"{at}.{name}")
    elif isinstance(written, list):
        if not isinstance(understood, list) or len(written) != len(understood):
            yield f"{at}: not such a list"
            return
        for index, value in enumerate(written):
            yield from lost(value, understood[index], f"{at}[{index}]")
    elif written != understood:
        yield f"{at}: {written!r} is taken for {understood!r}"


def misspelt(read, at):
    """Words of enumerations that are not in them. The types take any text for one."""
    if isinstance(read, list):
        for index, value in enumerate(read):
            yield from misspelt(value, f"{at}[{index}]")
    elif isinstance(read, dict):
        for name, value in read.items():
            yield from misspelt(value, f"{at}.{name}")
    elif type(read).__module__.startswith("grafana_foundation_sdk.models") and not isinstance(read, enum.Enum):
        hints = typing.get_type_hints(type(read).__init__)
        for name, value in vars(read).items():
            wanted = choices(hints.get(name))
            if isinstance(value, str) and wanted and value not in wanted:
                yield f"{at}.{name}: {value!r} is none of {', '.join(map(str, sorted(wanted)))}"
            yield from misspelt(value, f"{at}.{name}")


def choices(hint):
    """The words of an enumeration, if a field can be nothing else."""
    kinds = [kind for kind in (typing.get_args(hint) or (hint,)) if kind is not type(None)]
    if all(isinstance(kind, type) and issubclass(kind, enum.Enum) for kind in kinds):
        return {member.value for kind in kinds for member in kind}
    return set()


if __name__ == "__main__":
    sys.exit(main())
