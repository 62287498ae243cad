"""What a box in a real sandbox reaches of the network, through the whole runner."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.runner.command_line import Repository, of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.events import BoxFinished

pytestmark = pytest.mark.skipif(
    not any(rung.level.full and rung.works for rung in rungs(os.environ)), reason=f"{MISSING} a full sandbox"
)

# Tries everything, and says as JSON what came of it.
REACH = """\
import http.client, json, socket, sys, urllib.error, urllib.request

host = int(sys.argv[1])
packet = bytes.fromhex("123401000001000000000000") + b"\\x07example\\x03org\\x00\\x00\\x01\\x00\\x01"
said = {}

def attempt(name, what):
    try:
        said[name] = what()
    except urllib.error.HTTPError as error:
        said[name] = f"{error.code}"
    except OSError as error:
        said[name] = str(error)

def udp(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        sender.connect((address, port))
        sender.send(packet)
        return sender.recv(512).hex()

def tcp(address, port):
    with socket.create_connection((address, port), 5):
        return "connected"

def get(url):
    return urllib.request.urlopen(url, timeout=20).read().decode()

attempt("allowed", lambda: get(f"http://localhost:{host}/"))
attempt("another-host", lambda: get("http://evil.example/"))
attempt("another-host-tls", lambda: get("https://evil.example/"))
attempt("another-port", lambda: get("http://localhost:1/"))
attempt("its-address-through-the-proxy", lambda: get(f"http://127.0.0.2:{host}/"))
attempt("a-raw-address", lambda: tcp("192.0.2.1", 443))
attempt("the-machines-loopback", lambda: tcp("127.0.0.1", host))
attempt("a-dns-query", lambda: udp("192.0.2.53", 53))
attempt("a-packet", lambda: udp("127.0.0.1", host))
attempt("a-name", lambda: socket.getaddrinfo("example.org", 443) and "resolved")
print(json.dumps(said))
"""


class Machine:
    """The machine that runs the box: a web server and an UDP socket on one port of its loopback."""

    def __init__(self) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"from outside")

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.packets.bind(("127.0.0.1", self.port))
        self.packets.setblocking(False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.packets.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture
def repository(tmp_path: Path, machine: Machine) -> Repository:
    repository = Repository(tmp_path)
    repository.write("reach.py", REACH)
    repository.box(1, f"python3 reach.py {machine.port}", block=f'network = ["localhost:{machine.port}"]\ntimeout = 60')
    return repository


def reached(repository: Repository, *words: str) -> tuple[dict[str, str], BoxFinished]:
    (box,) = of("BoxFinished", repository.events("1", "--sandbox", "full", *words))
    return json.loads(box.output), box


def test_an_allowed_host_is_reached_and_nothing_else_is(repository: Repository, machine: Machine) -> None:
    said, box = reached(repository)
    assert said.pop("allowed") == "from outside"
    refused_by_the_proxy = ("another-host", "another-port", "its-address-through-the-proxy")
    assert {name: said.pop(name) for name in refused_by_the_proxy} == dict.fromkeys(refused_by_the_proxy, "403")
    assert "403 interlock: evil.example:443: not in the rules" in said.pop("another-host-tls")
    no_way = {"a-raw-address", "a-dns-query", "a-name", "a-packet", "the-machines-loopback"}
    assert said.keys() == no_way
    assert not no_way & {name for name in no_way if said[name] in {"connected", "resolved"} or said[name].isalnum()}
    with pytest.raises(BlockingIOError):
        machine.packets.recv(1)
    rule = f"(not in the rules: localhost:{machine.port})"
    assert sorted(box.refused) == sorted(
        f"{end} {rule}" for end in ("evil.example:80", "evil.example:443", "localhost:1", f"127.0.0.2:{machine.port}")
    )


def test_without_the_sandbox_the_same_box_reaches_the_machine(repository: Repository, machine: Machine) -> None:
    (box,) = of("BoxFinished", repository.events("1", "--sandbox", "off"))
    said = json.loads(box.output)
    assert (said["allowed"], said["the-machines-loopback"]) == ("from outside", "connected")
    assert machine.packets.recv(512)


@pytest.mark.parametrize("trust", ["T1", "T2"])
def test_what_the_trust_level_does_not_grant_is_not_reached_and_told(repository: Repository, trust: str) -> None:
    events = repository.events("1", "--trust", trust)
    (box,) = of("BoxFinished", events)
    assert "from outside" not in box.output
    (warning,) = of("Warned", events)
    assert f"at trust level {trust}" in warning.message


def test_a_member_reaches_what_the_configuration_grants(repository: Repository, machine: Machine) -> None:
    repository.write(".github/interlock.yml", f"trust: {{network: ['localhost:{machine.port}']}}\n")
    said, _ = reached(repository, "--trust", "T1")
    assert said["allowed"] == "from outside"
