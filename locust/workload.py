"""The workload: what is sold, at which prices, and how the buyers arrive.

Read from a TOML file, or from an OCI registry by tag or digest (`oci://host/repository@sha256:…`). What comes from a
registry is checked against the digests that name it.
"""

import base64
import hashlib
import json
import os
import random
import re
import ssl
import tomllib
import urllib.error
import urllib.parse
import urllib.request

LAYER = "application/vnd.blackfriday.workload.catalogue.v1+toml"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MAX_BYTES = 16 << 20
TIMEOUT_S = 30
REFERENCE = re.compile(r"oci://([^/]+)/([a-z0-9._/-]+?)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?")


class WorkloadError(Exception):
    """The workload cannot be had, or is not what its digest says."""


class Workload:
    """Products drawn by weight, and the relative rate of arrivals over the length of the sale."""

    def __init__(self, text: bytes):
        catalogue = tomllib.loads(text.decode())
        self.digest = "sha256:" + hashlib.sha256(text).hexdigest()
        self.title = catalogue["title"]
        self.seed = catalogue["seed"]
        self.products = catalogue["products"]
        self.arrivals = [(point["at"], point["rate"]) for point in catalogue["arrivals"]]
        self._weights = [product["weight"] for product in self.products]
        if not self.products or len(self.arrivals) < 2:
            raise WorkloadError("a workload has products, and arrivals from 0 to 1")

    def sale(self, dice: random.Random) -> dict:
        """A sale of one product, at its list price less a discount within the product's own limit."""
        (product,) = dice.choices(self.products, self._weights)
        cents = round(product["price"] * 100)
        lowest = -(-cents * (100 - product["discount"]) // 100)
        return {
            "categoria": product["category"],
            "producto_id": product["id"],
            "precio": dice.randint(lowest, cents) / 100,
            "cantidad_vendida": dice.choices((1, 2, 3, 4, 5), (60, 20, 10, 6, 4))[0],
        }

    def rate(self, at: float) -> float:
        """The relative rate of arrivals at a share of the sale's length, 0 to 1; straight lines in between."""
        for (start, low), (end, high) in zip(self.arrivals, self.arrivals[1:]):
            if at <= end:
                return low + (high - low) * max(0.0, at - start) / (end - start)
        return self.arrivals[-1][1]

    def peak(self) -> float:
        """The highest rate."""
        return max(rate for _, rate in self.arrivals)


def load(source: str) -> Workload:
    """Reads a file, or pulls `oci://host/repository[:tag][@sha256:…]`.

    A registry is asked over TLS, with the certificates in BLACKFRIDAY_REGISTRY_CA if that names a file, and as the user
    of BLACKFRIDAY_REGISTRY_USERNAME if that is set, with the password in the file BLACKFRIDAY_REGISTRY_PASSWORD_FILE or in
    BLACKFRIDAY_REGISTRY_PASSWORD; otherwise as the user that the file config.json in the folder DOCKER_CONFIG has for it.
    Plain HTTP is spoken only with BLACKFRIDAY_REGISTRY_PLAIN_HTTP=true.
    """
    if source.startswith("oci://"):
        return Workload(_pull(source))
    with open(source, "rb") as file:
        return Workload(file.read())


def _pull(source: str) -> bytes:
    match = REFERENCE.fullmatch(source)
    if not match or not (match[3] or match[4]):
        raise WorkloadError(f"{source}: must be oci://host/repository:tag or …@sha256:…")
    host, repository, tag, digest = match.groups()
    manifest = _get(host, f"/v2/{repository}/manifests/{digest or tag}", MANIFEST)
    if digest:
        _check(manifest, digest, "manifest")
    layers = [layer for layer in json.loads(manifest)["layers"] if layer["mediaType"] == LAYER]
    if len(layers) != 1:
        raise WorkloadError(f"{source}: not a workload: it has no layer of type {LAYER}")
    text = _get(host, f"/v2/{repository}/blobs/{layers[0]['digest']}", "*/*")
    _check(text, layers[0]["digest"], "layer")
    return text


def _get(host: str, path: str, accept: str) -> bytes:
    plain = os.environ.get("BLACKFRIDAY_REGISTRY_PLAIN_HTTP") == "true"
    request = urllib.request.Request(f"{'http' if plain else 'https'}://{host}{path}", headers={"Accept": accept})
    login = _login(host)
    if login:
        request.add_unredirected_header("Authorization", f"Basic {login}")
    context = None if plain else ssl.create_default_context(cafile=os.environ.get("BLACKFRIDAY_REGISTRY_CA"))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:
            body = answer.read(MAX_BYTES + 1)
    except urllib.error.URLError as error:
        raise WorkloadError(f"{host}{path}: {error}") from error
    if len(body) > MAX_BYTES:
        raise WorkloadError(f"{host}{path}: larger than {MAX_BYTES} bytes")
    return body


def _login(host: str) -> str | None:
    """User and password, as a registry wants them told."""
    user = os.environ.get("BLACKFRIDAY_REGISTRY_USERNAME")
    if user:
        return base64.b64encode(f"{user}:{_password()}".encode()).decode()
    path = os.path.join(os.environ.get("DOCKER_CONFIG", ""), "config.json")
    if not os.path.isabs(path) or not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file).get("auths", {}).get(host, {}).get("auth")


def _password() -> str:
    path = os.environ.get("BLACKFRIDAY_REGISTRY_PASSWORD_FILE")
    if not path:
        return os.environ.get("BLACKFRIDAY_REGISTRY_PASSWORD", "")
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip("\n")


def _check(body: bytes, digest: str, what: str) -> None:
    found = "sha256:" + hashlib.sha256(body).hexdigest()
    if found != digest:
        raise WorkloadError(f"the {what} is {found}, not {digest}")
