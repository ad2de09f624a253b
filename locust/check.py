#!/usr/bin/env python3
"""Runs the locustfile against a stand-in for the gateway and the registry: usage: check.py LOCUST

Users, rate and length by options and by the page's fields, the flash sale, another host's name, the workload out of a
registry, and a gateway that is not there. Exit code 1 with a word on the first that is not so.
"""

import base64
import collections
import hashlib
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

FOLDER = pathlib.Path(__file__).resolve().parent
LAYER = "application/vnd.blackfriday.workload.catalogue.v1+toml"
LOGIN = base64.b64encode(b"blackfriday:secret").decode()
LIMIT_S = 90


class StandIn(http.server.ThreadingHTTPServer):
    """Accepts everything that is sent, and has one workload behind a password."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.at = f"127.0.0.1:{self.server_port}"
        # (path, name of the host) -> requests
        self.requests = collections.Counter()
        text = (FOLDER / "black-friday.toml").read_bytes()
        layer = "sha256:" + hashlib.sha256(text).hexdigest()
        manifest = json.dumps({"layers": [{"mediaType": LAYER, "digest": layer}]}).encode()
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        self.workload = f"oci://{self.at}/blackfriday/workload@{digest}"
        self.files = {
            f"/v2/blackfriday/workload/manifests/{digest}": manifest,
            f"/v2/blackfriday/workload/blobs/{layer}": text,
        }
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        # A client that ends in the middle of an answer.
        pass


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests[self.path, self.headers["Host"]] += 1
        accepted = {"estado": "OK", "id": "1"}
        answer = {"resultados": [accepted] * len(body)} if self.path == "/ventas" else accepted
        self.send(202, json.dumps(answer).encode())

    def do_GET(self):
        if self.headers.get("Authorization") != f"Basic {LOGIN}":
            self.send(401, b"")
        else:
            self.send(200, self.server.files[self.path])

    def send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    locust = [sys.argv[1], "--locustfile", str(FOLDER / "locustfile.py")]
    by_options(locust)
    by_the_page(locust)
    flash_sale(locust)
    from_a_registry(locust)
    nobody_there(locust)
    print("locust: the locustfile does what its README says")


def by_options(locust):
    gateway = StandIn()
    options = ["-u", "7", "-r", "7", "-t", "4s", "--host", f"http://{gateway.at}"]
    code, said = headless(locust, options, BLACKFRIDAY_HOST_NAME="shop.test")
    expect(code == 0, "a run with -u, -r and -t ends with 0", said)
    expect('"Buyer": 6, "WeatherStation": 1' in said, "of 7 users one is a weather station", said)
    for path in ("/venta", "/input"):
        expect(gateway.requests[path, "shop.test"] > 0, f"{path} was asked by the host's other name", said)


def by_the_page(locust):
    gateway = StandIn()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [*locust, "--web-host", "127.0.0.1", "--web-port", str(port)], env=environment(), stderr=subprocess.DEVNULL
    ) as process:
        try:
            shown = await_page(page)
            hidden = re.search(r'"hide_common_options": (\w+)', shown.replace("&#34;", '"'))
            expect(hidden is None or hidden[1] in ("null", "false"), "the page has fields for users and rate", shown)
            fields = {"user_count": "5", "spawn_rate": "5", "host": f"http://{gateway.at}"}
            urllib.request.urlopen(f"{page}/swarm", urllib.parse.urlencode(fields).encode(), timeout=10).close()
            eventually(lambda: stats(page)["user_count"] == 5, "the page starts as many users as it is told")
            eventually(lambda: sum(gateway.requests.values()) > 10, "users of the page buy")
        finally:
            process.terminate()


def flash_sale(locust):
    gateway = StandIn()
    sale = ["--flash-sale", "--sale-users", "10", "--sale-seconds", "4"]
    code, said = headless(locust, [*sale, "--host", f"http://{gateway.at}"])
    expect(code == 0, "a flash sale ends with 0", said)
    expect("Shape test updating to 10 users" in said, "the flash sale has its peak", said)


def from_a_registry(locust):
    gateway = StandIn()
    options = ["-u", "1", "-t", "2s", "--host", f"http://{gateway.at}"]
    registry = {"BLACKFRIDAY_WORKLOAD": gateway.workload, "BLACKFRIDAY_REGISTRY_PLAIN_HTTP": "true"}
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps({"auths": {gateway.at: {"auth": LOGIN}}}))
        code, said = headless(locust, options, DOCKER_CONFIG=folder, **registry)
    expect(code == 0, "the workload is pulled with the password of config.json", said)
    code, said = headless(locust, options, DOCKER_CONFIG="", **registry)
    expect(code != 0, "no workload is pulled without a password", said)


def nobody_there(locust):
    code, said = headless(locust, ["-u", "2", "-t", "2s", "--host", "http://127.0.0.1:1"])
    expect(code == 1, "a run without a gateway ends with 1", said)
    expect("Connection refused" in said, "a refused connection is called so", said)
    expect("Traceback" not in said, "a gateway that is not there is no defect", said)
    hosts = "import locustfile as file; print(file.Buyer.host, file.WeatherStation.host)"
    python = pathlib.Path(locust[0]).with_name("python3")
    command = [str(python) if python.exists() else sys.executable, "-c", hosts]
    shown = subprocess.run(command, cwd=FOLDER, env=environment(), capture_output=True, text=True, check=False)
    expect(shown.stdout.split() == ["http://127.0.0.1:8080"] * 2, "users have a host without --host", shown.stderr)


def headless(locust, options, **variables):
    """Exit code, and all that was said."""
    command = [*locust, "--headless", *options]
    with subprocess.Popen(
        command, env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            expect(False, f"{' '.join(options)} ends by itself", process.communicate()[0])
        return process.returncode, said


def environment(**variables):
    """Without what is set on this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BLACKFRIDAY_", "LOCUST_"))}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | variables


def await_page(url):
    def ask():
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    return eventually(ask, "the page is served")


def stats(page):
    with urllib.request.urlopen(f"{page}/stats/requests", timeout=10) as answer:
        return json.load(answer)


def eventually(ask, what):
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(0.2)
    return expect(False, what, f"not so after {LIMIT_S} s")


def expect(is_so, what, said):
    if not is_so:
        sys.exit(f"locust: it is not so that {what}:\n{said}")


if __name__ == "__main__":
    main()
