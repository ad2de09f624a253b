"""Compares the arrows that NetworkPolicies allow with arrows.txt."""

OURS = ("blackfriday", "kafka", "rabbitmq", "redis", "valkey", "monitoring")
NAMES = ("app.kubernetes.io/name", "k8s-app", "name")


def compare(tree, objects, components):
    """Every difference between what the rendered policies allow and what is listed for these components."""
    listed = read(tree / "tests/arrows.txt", {"base"} | components)
    outgoing, incoming = set(), set()
    for policy in (one for one in objects if one["kind"] == "NetworkPolicy"):
        subject = f"{policy['metadata']['namespace']}/{name(policy['spec']['podSelector'])}"
        spec = policy["spec"]
        outgoing |= {(subject, *end) for rule in spec.get("egress", []) for end in ends(rule, "to")}
        incoming |= {(start[0], subject, start[1]) for rule in spec.get("ingress", []) for start in ends(rule, "from")}
    yield from difference("out of", outgoing, {arrow for arrow in listed if ours(arrow[0])})
    yield from difference("into", incoming, {arrow for arrow in listed if ours(arrow[1])})
    for space in OURS:
        if not any(is_denial(one, space) for one in objects):
            yield f"namespace {space} has no policy that denies"


def read(file, wanted):
    lines = (line.split() for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return {(one, end, port) for when, start, end, port in lines if is_brought(when, wanted) for one in each(start)}


def is_brought(when, wanted):
    """`A!B` is A without B."""
    name, _, without = when.partition("!")
    return name in wanted and without not in wanted


def each(start):
    """`*/*` is every pod of each of our namespaces."""
    return [f"{space}/*" for space in OURS] if start == "*/*" else [start]


def ends(rule, side):
    """The peers of a rule, each with each port. A rule without peers or ports would allow everything."""
    if not rule.get(side) or not rule.get("ports"):
        return [("everything", "everything")]
    ports = [
        f"{'-'.join(str(port[end]) for end in ('port', 'endPort') if end in port)}/{port['protocol']}"
        for port in rule["ports"]
    ]
    return [(peer(one), port) for one in rule[side] for port in ports]


def peer(one):
    if "ipBlock" in one:
        return one["ipBlock"]["cidr"]
    space = one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    return f"{space}/{name(one.get('podSelector', {}))}"


def name(selector):
    if not selector:
        return "*"
    ((label, value),) = selector["matchLabels"].items()
    return value if label in NAMES else f"{label}={value}"


def ours(end):
    return end.split("/")[0] in OURS


def difference(where, found, listed):
    for start, end, port in sorted(found - listed):
        yield f"a policy allows {start} -> {end} {port} ({where} it), which is not in arrows.txt"
    for start, end, port in sorted(listed - found):
        yield f"no policy allows {start} -> {end} {port} ({where} it), which is in arrows.txt"


def is_denial(one, space):
    return (
        one["kind"] == "NetworkPolicy"
        and one["metadata"]["namespace"] == space
        and one["spec"]["podSelector"] == {}
        and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and "ingress" not in one["spec"]
    )
