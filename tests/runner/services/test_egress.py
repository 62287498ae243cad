from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from inline_snapshot import snapshot

from runner.attendant import Wish
from runner.services.egress import PORT, Egress, variables
from runner.services.egress_rules import Rules
from runner.services.ground import CannotProvide, Ground
from runner.services.proxy import Proxy
from runner.services.sockets import listen
from runner.services.tunnel import Caps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MANY = 32 << 20


class Far:
    """An end to reach: a server on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while part := await reader.read(1 << 16):
                self.heard.append(part)
                if part.startswith(b"GET /"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                    break
                writer.write(part)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    far = Far()
    await far.start()
    yield far
    await far.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for `localhost`, good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)  # noqa: TID251 - OpenSSL compares it with the real time.
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
async def tls(certificate: Path) -> AsyncIterator[Far]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    far = Far()
    await far.start(context)
    yield far
    await far.close()


class Door:
    """A proxy on a unix socket, and what it refused."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.refused: list[str] = []
        self.proxy: Proxy | None = None

    async def open(self, *hosts: str, caps: Caps | None = None) -> None:
        self.proxy = Proxy(Rules(hosts), self.refused.append, caps or Caps())
        await self.proxy.start(listen(self.path))

    async def ask(self, *sent: bytes) -> bytes:
        """Send everything, say no more, and read until the other side has said its last."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        for part in sent:
            writer.write(part)
        writer.write_eof()
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def tunnel(self, end: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(f"CONNECT {end} HTTP/1.1\r\nHost: {end}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        return reader, writer


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way this machine goes, these tests' ends are on it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    door = Door(str(tmp_path / "egress"))
    yield door
    if door.proxy:
        await door.proxy.close()


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes) -> bytes:
    writer.write(words)
    await writer.drain()
    return await reader.read(len(words))


class Names:
    """What names stand for, in the place of the system's resolver; an address stands for itself."""

    def __init__(self, known: dict[str, str]) -> None:
        self.asked: list[str] = []
        self._known = known

    def __call__(self, host: str, port: int, *_: object, **__: object) -> list[object]:
        self.asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self._known[host], port))]


async def test_an_allowed_end_is_reached_and_both_directions_close_apart(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}")
    reader, writer = await door.tunnel(f"localhost:{far.port}")
    writer.write(b"said")
    assert await reader.readexactly(4) == b"said"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert door.refused == []


async def test_a_lot_comes_back_whole(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}")
    reader, writer = await door.tunnel(f"localhost:{far.port}")

    async def send() -> None:
        for number in range(MANY >> 16):
            writer.write(bytes([number % 256]) * (1 << 16))
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    for number in range(MANY >> 16):
        assert await reader.readexactly(1 << 16) == bytes([number % 256]) * (1 << 16)
    assert await reader.read() == b""
    await sending
    writer.close()


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        pytest.param("evil.example:443", "evil.example:443 (not in the rules: localhost:{port})", id="another-host"),
        pytest.param("localhost:1", "localhost:1 (not in the rules: localhost:{port})", id="another-port"),
        pytest.param("127.0.0.1:{port}", "127.0.0.1:{port} (not in the rules: localhost:{port})", id="its-address"),
        pytest.param("[::1]:{port}", "[::1]:{port} (not in the rules: localhost:{port})", id="its-ipv6-address"),
        pytest.param("0177.0.0.1:80", None, id="an-address-in-disguise"),
    ],
)
async def test_anything_else_is_refused_before_a_name_is_resolved(
    far: Far, door: Door, asked: str, refusal: str | None
) -> None:
    await door.open(f"localhost:{far.port}")
    answer = await door.ask(f"CONNECT {asked.format(port=far.port)} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 interlock: ")
    if refusal:
        assert door.refused == [refusal.format(port=far.port)]
    assert far.connections == 0


async def test_a_refusal_names_the_host_and_the_rule(door: Door) -> None:
    await door.open("files.example", "*.cdn.example:8443")
    answer = await door.ask(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
    assert answer.decode() == snapshot("""\
HTTP/1.1 403 interlock: evil.example:443: not in the rules: files.example:443, *.cdn.example:8443\r
Content-Type: text/plain\r
Content-Length: 85\r
Connection: close\r
\r
interlock: evil.example:443: not in the rules: files.example:443, *.cdn.example:8443
""")


async def test_an_allowed_name_that_stands_for_a_private_address_is_refused(
    far: Far, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names({"files.example": "127.0.0.1"}))
    await door.open(f"files.example:{far.port}")
    answer = await door.ask(f"CONNECT files.example:{far.port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert door.refused == [
        f"files.example:{far.port} (it stands for 127.0.0.1, which is not public; name that address in a rule too)"
    ]
    assert far.connections == 0


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    far: Far, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names({"files.example": "127.0.0.1"})
    monkeypatch.setattr(socket, "getaddrinfo", names)
    await door.open(f"files.example:{far.port}", f"127.0.0.1:{far.port}")
    _, writer = await door.tunnel(f"files.example:{far.port}")
    writer.close()
    assert names.asked == ["files.example"]


async def test_after_a_refusal_nothing_more_is_read_as_a_request(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}")
    answer = await door.ask(
        b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n", f"CONNECT localhost:{far.port} HTTP/1.1\r\n\r\n".encode()
    )
    assert answer.count(b"HTTP/1.1") == 1
    assert far.connections == 0


async def test_a_request_that_follows_in_the_tunnel_is_only_bytes_to_the_same_end(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}")
    smuggled = b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n"
    answer = await door.ask(f"CONNECT localhost:{far.port} HTTP/1.1\r\n\r\n".encode() + smuggled)
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n" + smuggled  # the far end echoes
    assert b"".join(far.heard) == smuggled


async def test_a_plain_request_carries_one_request_and_no_second(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}")
    at = f"localhost:{far.port}"
    answer = await door.ask(
        f"GET http://{at}/x HTTP/1.1\r\nHost: {at}\r\n\r\n".encode(), b"GET /y HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    )
    assert answer.endswith(b"\r\n\r\nok")
    assert b"".join(far.heard) == f"GET /x HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(b"CONNECT x:1 HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", b"431", id="a-head-without-measure"),
        pytest.param(b"\x16\x03\x01\x00\xa5\x01 \r\n\r\n", b"403", id="tls-to-the-proxy-itself"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"403", id="no-proxy-request"),
    ],
)
async def test_absurd_requests_are_answered_and_remembered(door: Door, sent: bytes, answer: bytes) -> None:
    await door.open("files.example")
    assert (await door.ask(sent)).startswith(b"HTTP/1.1 " + answer)
    assert len(door.refused) == 1


async def test_a_client_that_says_nothing_is_let_go(door: Door) -> None:
    await door.open("files.example", caps=Caps(head=0.05))
    reader, writer = await asyncio.open_unix_connection(door.path)
    assert await reader.read() == b""
    writer.close()


async def test_tls_to_the_host_that_was_asked_for_is_carried(tls: Far, door: Door, certificate: Path) -> None:
    await door.open(f"localhost:{tls.port}")
    reader, writer = await door.tunnel(f"localhost:{tls.port}")
    await writer.start_tls(ssl.create_default_context(cafile=str(certificate)), server_hostname="localhost")
    writer.write(b"secret")
    assert await reader.readexactly(6) == b"secret"
    writer.close()
    assert door.refused == []


async def test_tls_that_asks_for_another_name_inside_the_tunnel_is_refused(tls: Far, door: Door) -> None:
    await door.open(f"localhost:{tls.port}")
    _, writer = await door.tunnel(f"localhost:{tls.port}")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        await writer.start_tls(context, server_hostname="evil.example")
    writer.close()
    assert door.refused == [f"localhost:{tls.port} (the TLS inside asks for evil.example)"]
    assert tls.heard == []


async def test_the_port_of_tls_is_for_nothing_else(door: Door, monkeypatch: pytest.MonkeyPatch, far: Far) -> None:
    monkeypatch.setattr("runner.services.tunnel.HTTPS", far.port)
    await door.open(f"localhost:{far.port}")
    reader, writer = await door.tunnel(f"localhost:{far.port}")
    writer.write(b"SSH-2.0-anything\r\n")
    assert await reader.read() == b""
    writer.close()
    assert far.heard == []
    assert door.refused == [f"localhost:{far.port} (it does not speak TLS; port {far.port} is for TLS alone)"]


async def test_traffic_beyond_the_cap_is_cut_off_and_told_once(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}", caps=Caps(traffic=2 << 20))
    reader, writer = await door.tunnel(f"localhost:{far.port}")
    came = 0
    try:
        while part := await echoed(reader, writer, b"x" * 65536):
            came += len(part)
    except ConnectionError:
        pass
    writer.close()
    assert came <= 2 << 20
    again = await door.ask(f"CONNECT localhost:{far.port} HTTP/1.1\r\n\r\n".encode())
    assert again.startswith(b"HTTP/1.1 403 interlock: more traffic: the cap is 2 MiB both ways")
    assert door.refused == ["more traffic (the cap is 2 MiB both ways)"]


async def test_connections_beyond_the_cap_are_answered_with_it(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}", caps=Caps(connections=2))
    held = [await door.tunnel(f"localhost:{far.port}") for _ in range(2)]
    answer = await door.ask(f"CONNECT localhost:{far.port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 503 interlock: one more connection: the cap is 2 at once")
    for _, writer in held:
        writer.close()


async def test_a_tunnel_in_which_nothing_moves_is_closed(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}", caps=Caps(idle=0.05))
    reader, writer = await door.tunnel(f"localhost:{far.port}")
    assert await reader.read() == b""
    writer.close()


async def test_what_is_refused_is_remembered_once_and_not_without_end(door: Door) -> None:
    await door.open("files.example", caps=Caps(told=3))
    for number in (1, 1, 2, 2, 3, 4, 5):
        await door.ask(f"CONNECT evil-{number}.example:443 HTTP/1.1\r\n\r\n".encode())
    assert [what.split(":")[0] for what in door.refused] == ["evil-1.example", "evil-2.example", "evil-3.example"]


async def test_an_end_that_is_not_there_is_no_refusal(door: Door, far: Far) -> None:
    await far.close()
    await door.open(f"localhost:{far.port}", "nowhere.invalid:80")
    for end in (f"localhost:{far.port}", "nowhere.invalid:80"):
        assert (await door.ask(f"CONNECT {end} HTTP/1.1\r\n\r\n".encode())).startswith(b"HTTP/1.1 502 interlock: ")
    assert door.refused == []


@pytest.fixture
async def machines_proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Heard]:
    heard = Heard()
    server = await asyncio.start_server(heard.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://mona:p%40ss@127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "inside.example")
    yield heard
    server.close()


class Heard:
    """The proxy that a machine goes through: keeps what it is asked, and echoes in the tunnel."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.answer = b"HTTP/1.1 200 OK\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        writer.write(await reader.read(100))
        writer.close()


async def test_an_allowed_end_is_reached_the_way_the_machine_goes(machines_proxy: Heard, door: Door) -> None:
    await door.open("files.example:8443")
    reader, writer = await door.tunnel("files.example:8443")
    writer.write(b"said")
    assert await reader.readexactly(4) == b"said"
    writer.close()
    (head,) = machines_proxy.heads
    assert head.split(b"\r\n") == [
        b"CONNECT files.example:8443 HTTP/1.1",
        b"Host: files.example:8443",
        b"Proxy-Authorization: Basic bW9uYTpwQHNz",
        b"",
        b"",
    ]
    await door.ask(b"CONNECT evil.example:8443 HTTP/1.1\r\n\r\n")
    assert len(machines_proxy.heads) == 1


async def test_what_the_machines_proxy_refuses_is_told(machines_proxy: Heard, door: Door) -> None:
    machines_proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    await door.open("files.example:8443")
    answer = await door.ask(b"CONNECT files.example:8443 HTTP/1.1\r\n\r\n")
    assert b"502 interlock: files.example:8443: this machine's own proxy answered HTTP/1.1 407 Proxy" in answer


async def test_this_machine_and_what_no_proxy_names_are_reached_directly(
    machines_proxy: Heard, far: Far, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.open(f"localhost:{far.port}", f"inside.example:{far.port}", f"127.0.0.1:{far.port}")
    monkeypatch.setattr(socket, "getaddrinfo", Names(dict.fromkeys(("localhost", "inside.example"), "127.0.0.1")))
    for host in ("localhost", "inside.example"):
        _, writer = await door.tunnel(f"{host}:{far.port}")
        writer.close()
    assert machines_proxy.heads == []


async def test_when_the_job_is_over_its_connections_and_its_socket_are(far: Far, door: Door) -> None:
    await door.open(f"localhost:{far.port}")
    reader, writer = await door.tunnel(f"localhost:{far.port}")
    assert door.proxy
    await door.proxy.close()
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(door.path)


def ground(tmp_path: Path, refused: list[tuple[str, str]]) -> Ground:
    return Ground(directory=str(tmp_path), environ={}, search=(), refuse=lambda *what: refused.append(what))


async def test_a_job_gets_its_proxy_as_a_socket_and_variables(tmp_path: Path) -> None:
    egress = Egress()
    directory = tmp_path / ("long" * 30)  # longer than the address of a unix socket may be
    directory.mkdir()
    wish = Wish(id="a", directory=str(directory), hosts=["files.example"], unix=True)
    given = await egress.provide(wish, ground(tmp_path, []))
    assert given.sockets == {PORT: str(directory / "egress")}
    assert given.env["https_proxy"] == given.env["HTTP_PROXY"] == f"http://127.0.0.1:{PORT}"
    assert (directory / "egress").stat().st_mode & 0o777 == 0o600
    await egress.close()


async def test_a_job_without_a_network_of_its_own_gets_a_port(tmp_path: Path) -> None:
    egress, refused = Egress(), list[tuple[str, str]]()
    given = await egress.provide(Wish(id="a", directory="", hosts=["files.example"]), ground(tmp_path, refused))
    ((port, path),) = given.sockets.items()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
    assert b" 403 " in await reader.readline()
    writer.close()
    await egress.close()
    assert path == ""
    assert refused == [("a", "evil.example:443 (not in the rules: files.example:443)")]


async def test_a_job_that_may_reach_nothing_gets_nothing(tmp_path: Path) -> None:
    given = await Egress().provide(Wish(id="a", directory=str(tmp_path), unix=True), ground(tmp_path, []))
    assert (given.env, given.sockets) == ({}, {})


async def test_a_rule_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    wish = Wish(id="a", directory=str(tmp_path), hosts=["files.example/x:443"], unix=True)
    with pytest.raises(CannotProvide, match=r"files\.example/x:443: its host is no host's name"):
        await Egress().provide(wish, ground(tmp_path, []))


def test_the_boxs_own_loopback_is_not_reached_through_the_proxy() -> None:
    assert variables(PORT, Rules(["files.example"]))["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert variables(PORT, Rules(["localhost:8080"]))["no_proxy"] == "127.0.0.1,::1"
