#!/usr/bin/env python3
"""Tries on a cluster's network plugin what renderings allow, and everything else.

usage: network.py [--kubectl COMMAND] [--image IMAGE] RENDERED [NAME...]

RENDERED is what `render.sh --out` leaves, NAME one of its files without the ending; without any, each set of policies
is tried once. Stand-ins run in place of everything: a pod for each end of an arrow in arrows.txt, a second one where
an arrow leads to its own kind, and one without a label in each namespace. Each listens on the ports to which arrows
lead there or everywhere, and on one more; and each tries all others: all of them must be reached as long as there is
no policy. Their namespaces, which the cluster must not have, are made and removed at the end. DNS is left out, which
real services have in cluster.sh, and so are addresses that no pod has.

Prints a line for each rendering; exit code 1 if any connection is not as arrows.txt has it, and each of these on
standard error.
"""

import argparse
import itertools
import json
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import yaml

import arrows
import rules

TREE = Path(__file__).resolve().parents[1]
BUSYBOX = "docker.io/library/busybox:1.37@sha256:bdf57e528e45e4433820e045b29b4597825a1c9e38353532d90a01445013f82e"
# A port of no arrow: who has any port of a pod would have this one, too.
OTHER = 7777
# In no namespace of ours, for arrows to addresses; and the pod without a label in each namespace.
OUTSIDE, STRANGER = "outside/world", "stranger"
EVERYWHERE = "0.0.0.0/0"
# After a name: another pod of the same.
SECOND = "#2"
LABEL = "blackfriday.test/network"
MANAGER = "blackfriday-network-test"
# Until a plugin knows of new policies, there may be answers by the old ones.
TRIES, PAUSE = 6, 4


class Arrow(NamedTuple):
    start: str
    end: str
    port: str


class Cluster:
    """A cluster by kubectl."""

    def __init__(self, command):
        self.words = shlex.split(command)

    def run(self, *arguments, text=None):
        done = subprocess.run([*self.words, *arguments], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"network: {shlex.join(['kubectl', *arguments])}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, objects):
        text = yaml.safe_dump_all(objects)
        self.run("apply", "--server-side", f"--field-manager={MANAGER}", "-f", "-", text=text)


def main():
    arguments = read_arguments()
    cluster = Cluster(arguments.kubectl)
    unknown = [name for name in arguments.names if not is_rendering(arguments.rendered, name)]
    if unknown:
        sys.exit(f"network: {arguments.rendered} has no overlay or combination {', '.join(unknown)}")
    renderings = list(distinct(arguments.rendered, arguments.names))
    if not renderings:
        sys.exit(f"network: {arguments.rendered} has no rendering of an overlay: see render.sh --out")
    everything = arrows_of(components for _, components, _ in renderings)
    ends = endpoints(everything)
    spaces = sorted({end.split("/")[0] for end in ends}.union(arrows.OURS))
    taken = [space for space in spaces if cluster.run("get", "namespace", space, "--ignore-not-found")]
    if taken:
        sys.exit(f"network: the cluster has the namespaces {', '.join(taken)}, which would be made and removed")
    wrong = 0
    try:
        cluster.apply([namespace(space) for space in spaces])
        cluster.apply([stand_in(end, everything, arguments.image) for end in ends])
        addresses = wait(cluster, ends)
        every = all_of(addresses, everything)
        closed = until(cluster, addresses, every, every)
        if closed:
            sys.exit(f"network: without any policy {len(closed)} of {len(every)} connections fail: {min(closed)}")
        for name, components, policies in renderings:
            wrong += judge(cluster, name, components, policies, addresses, every)
    finally:
        cluster.run("delete", "namespace", *spaces, "--wait=false", "--ignore-not-found")
    return 1 if wrong else 0


def read_arguments():
    parser = argparse.ArgumentParser(usage="network.py [--kubectl COMMAND] [--image IMAGE] RENDERED [NAME...]")
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--image", default=BUSYBOX)
    parser.add_argument("rendered", type=Path)
    parser.add_argument("names", nargs="*")
    return parser.parse_args()


def distinct(rendered, names):
    """Name, components and policies of each rendering; without names, the first one of each set of policies."""
    seen = set()
    files = [rendered / f"{name}.yaml" for name in names] or sorted(rendered.glob("*.yaml"))
    for file in files:
        components = components_of(file.stem)
        if components:
            objects = [one for one in yaml.safe_load_all(file.read_text()) if one]
            policies = [one for one in objects if one["kind"] == "NetworkPolicy"]
            key = json.dumps(sorted(json.dumps([*identity(one), one["spec"]]) for one in policies))
            if names or key not in seen:
                seen.add(key)
                yield file.stem, components, policies


def identity(one):
    return one["metadata"]["namespace"], one["metadata"]["name"]


def is_rendering(rendered, name):
    return (rendered / f"{name}.yaml").exists() and bool(components_of(name))


def components_of(name):
    """Those of an overlay, or of a line of combinations.txt; none of another rendering."""
    overlay = TREE / "overlays" / name
    if overlay.exists():
        return {"base"} | rules.components(overlay)
    lines = (line.split() for line in (TREE / "tests/combinations.txt").read_text().splitlines())
    named = next((words[1:] for words in lines if words[0] == name), [])
    nested = (rules.components(TREE / "components" / one) for one in named)
    return {"base"}.union(named, *nested) if named else set()


def arrows_of(sets):
    """All arrows between pods, and from pods to addresses, of any of these sets of components."""
    found = set().union(*(arrows.read(TREE / "tests/arrows.txt", components) for components in sets))
    return {Arrow(*arrow) for arrow in found if not is_beyond(arrow)}


def is_beyond(arrow):
    start, end, _ = arrow
    return end.startswith(("kube-system/", "169.254.")) or (is_address(start) and start != EVERYWHERE)


def is_address(end):
    return end.count(".") >= 3 and "/" in end


def endpoints(everything):
    """Every pod that there is for them."""
    ends = {OUTSIDE, *(f"{space}/{STRANGER}" for space in arrows.OURS)}
    for arrow in everything:
        ends |= {end.replace("/*", f"/{STRANGER}") for end in (arrow.start, arrow.end) if not is_address(end)}
        if arrow.start == arrow.end:
            ends.add(f"{arrow.start}{SECOND}")
    return sorted(ends)


def ports(end, everything):
    """Those to which arrows lead there, or everywhere, and the other one."""
    arriving = (arrow.port for arrow in everything if matches(arrow.end, end) or arrow.end == EVERYWHERE)
    return sorted({OTHER}.union(*map(numbers, arriving)))


def numbers(port):
    """Of a range the first and the last one."""
    return [int(number) for number in port.split("/")[0].split("-")]


def namespace(space):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}


def name_of(end):
    return "".join(letter if letter.isalnum() else "-" for letter in end.split("/", 1)[1]).strip("-")


def labels(end):
    name = end.split("/", 1)[1].removesuffix(SECOND)
    if name == STRANGER:
        return {}
    if "=" in name:
        key, value = name.split("=")
        return {key: value}
    return dict.fromkeys(arrows.NAMES, name)


def stand_in(end, everything, image):
    numbered = ports(end, everything)
    listen = "".join(f"while :; do nc -l -p {port} </dev/null >/dev/null 2>&1; done & " for port in numbered)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": end.split("/")[0],
            "name": name_of(end),
            "labels": {LABEL: "stand-in", **labels(end)},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "stand-in",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", f"{listen} wait"],
                    "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "256Mi"}},
                }
            ],
        },
    }


def wait(cluster, ends):
    """The address of each pod, once all of them run."""
    for _ in range(120):
        pods = json.loads(cluster.run("get", "pods", "--all-namespaces", "-l", LABEL, "-o", "json"))["items"]
        found = {
            identity(one): one["status"]["podIP"]
            for one in pods
            if one["status"].get("phase") == "Running" and one["status"].get("podIP")
        }
        if len(found) == len(ends):
            return {end: found[end.split("/")[0], name_of(end)] for end in ends}
        time.sleep(2)
    sys.exit(f"network: of {len(ends)} stand-ins {len(found)} run after four minutes")


def all_of(addresses, everything):
    """Every connection that is tried."""
    pairs = itertools.permutations(addresses, 2)
    return {(start, end, port) for start, end in pairs for port in ports(end, everything)}


def judge(cluster, name, components, policies, addresses, every):
    """How many connections are not as arrows.txt has them."""
    given = [with_mark(policy) for policy in policies]
    cluster.apply(given)
    kept = {identity(one) for one in given}
    for space in arrows.OURS:
        there = cluster.run("get", "networkpolicy", "-n", space, "-o", "jsonpath={.items[*].metadata.name}").split()
        gone = [one for one in there if (space, one) not in kept]
        if gone:
            cluster.run("delete", "networkpolicy", "-n", space, *gone)
    listed = arrows_of([components])
    wanted = {one for one in every if is_allowed(listed, *one)}
    wrong = until(cluster, addresses, every, wanted)
    for start, end, port in sorted(wrong):
        was = "holds" if (start, end, port) in wanted else "lets through"
        print(f"network: {name}: the cluster {was} {start} -> {end} {port}", file=sys.stderr)
    print(f"{name}: {len(every)} connections tried, {len(wanted)} in arrows.txt, {len(wrong)} not as it has them")
    return len(wrong)


def until(cluster, addresses, every, wanted):
    """Which connections are not as is wanted, also when they are tried again. All of them are tried twice: the first
    time a plugin may still know the policies of before, and what it does by chance as it shall would be believed."""
    for _ in range(2):
        wrong = every
        for _ in range(TRIES):
            time.sleep(PAUSE)
            wrong = let_through(cluster, wrong, addresses) ^ (wanted & wrong)
            if not wrong:
                break
        else:
            return wrong
    return set()


def with_mark(policy):
    metadata = {key: policy["metadata"][key] for key in ("name", "namespace")}
    return {**policy, "metadata": {**metadata, "labels": {LABEL: "policy"}}}


def is_allowed(listed, start, end, port):
    """Out of where it begins and into where it ends; whoever is not ours may do either."""
    out = not arrows.ours(start) or any(
        matches(arrow.start, start) and (matches(arrow.end, end) or arrow.end == EVERYWHERE) and has(arrow, port)
        for arrow in listed
    )
    into = not arrows.ours(end) or any(
        (matches(arrow.start, start) or arrow.start == EVERYWHERE) and matches(arrow.end, end) and has(arrow, port)
        for arrow in listed
    )
    return out and into


def matches(listed, end):
    space, _, name = listed.partition("/")
    return listed == end.removesuffix(SECOND) or (name == "*" and end.split("/")[0] == space)


def has(arrow, port):
    first, *last = numbers(arrow.port)
    return first <= port <= (last[0] if last else first)


def let_through(cluster, tried, addresses):
    """Which of these connections are made."""
    by_start = {}
    for start, end, port in tried:
        by_start.setdefault(start, []).append((end, port))
    with ThreadPoolExecutor(4) as pool:
        return set().union(*pool.map(lambda start: of_pod(cluster, start, by_start[start], addresses), by_start))


def of_pod(cluster, start, tried, addresses):
    """What one pod reaches: it tries them at once, a few dozen at a time."""
    ends = {addresses[end]: end for end, _ in tried}
    words = " ".join(f"{addresses[end]}:{port}" for end, port in tried)
    script = (
        "n=0; for one in $0; do (nc -w 2 ${one%:*} ${one#*:} </dev/null >/dev/null 2>&1 && echo $one) & "
        "n=$((n + 1)); if [ $((n % 60)) = 0 ]; then sleep 0.3; fi; done; wait"
    )
    space = start.split("/")[0]
    answer = cluster.run("exec", "-n", space, name_of(start), "--", "sh", "-c", script, words)
    reached = (line.split(":") for line in answer.split())
    return {(start, ends[address], int(port)) for address, port in reached}


if __name__ == "__main__":
    sys.exit(main())
