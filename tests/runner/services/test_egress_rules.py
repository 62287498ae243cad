from __future__ import annotations

import ssl
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.services.client_hello import NotAHello, name_in_hello
from runner.services.egress_rules import End, NotAnEnd, Rules, read_end
from runner.services.proxy_request import BadRequest, read_request

RULES = Rules(["files.example", "*.cdn.example:443", "localhost:8080", "192.0.2.7:9000", "[2001:db8::7]:443"])


@pytest.mark.parametrize(
    ("text", "end"),
    [
        pytest.param("files.example:443", "files.example:443", id="a-name"),
        pytest.param("FILES.Example.:443", "files.example:443", id="case-and-the-last-dot-mean-nothing"),
        pytest.param("192.0.2.7:9000", "192.0.2.7:9000", id="an-address"),
        pytest.param("[2001:DB8:0::7]:443", "[2001:db8::7]:443", id="an-ipv6-address-in-its-short-form"),
        pytest.param("_srv.under_score.example:1", "_srv.under_score.example:1", id="underscores-exist"),
    ],
)
def test_an_end_is_read(text: str, end: str) -> None:
    assert str(read_end(text)) == end


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("files.example", id="no-port"),
        pytest.param("files.example:0", id="port-0"),
        pytest.param("files.example:65536", id="port-beyond"),
        pytest.param("files.example:443x", id="port-with-a-letter"),
        pytest.param("files.example:\u0664\u0664\u0663", id="digits-of-another-script"),
        pytest.param("user@files.example:443", id="a-user"),
        pytest.param("files.example/x:443", id="a-path"),
        pytest.param("files.example\0.evil.example:443", id="a-zero-byte"),
        pytest.param("files..example:443", id="an-empty-label"),
        pytest.param("-files.example:443", id="an-option"),
        pytest.param("a" * 300 + ":443", id="too-long"),
        pytest.param("2130706433:80", id="an-address-as-a-number"),
        pytest.param("0x7f.1:80", id="an-address-in-hexadecimal"),
        pytest.param("127.1:80", id="an-address-cut-short"),
        pytest.param("0177.0.0.1:80", id="an-address-in-octal"),
        pytest.param("[::1%lo]:80", id="an-address-with-a-zone"),
        pytest.param("[::1:80", id="a-bracket-left-open"),
        pytest.param("::1:80", id="ipv6-without-brackets"),
    ],
)
def test_what_is_no_end_is_refused(text: str) -> None:
    with pytest.raises(NotAnEnd):
        read_end(text)


@pytest.mark.parametrize(
    ("end", "allowed"),
    [
        pytest.param("files.example:443", True, id="named"),
        pytest.param("files.example:80", False, id="another-port"),
        pytest.param("sub.files.example:443", False, id="below-a-name"),
        pytest.param("evilfiles.example:443", False, id="a-longer-name"),
        pytest.param("files.example.evil.example:443", False, id="a-name-that-begins-so"),
        pytest.param("a.cdn.example:443", True, id="below-a-wildcard"),
        pytest.param("a.b.cdn.example:443", True, id="far-below-a-wildcard"),
        pytest.param("cdn.example:443", False, id="the-wildcard-itself"),
        pytest.param("evilcdn.example:443", False, id="no-dot-before-the-wildcard"),
        pytest.param("192.0.2.7:9000", True, id="an-address-that-is-named"),
        pytest.param("192.0.2.8:9000", False, id="another-address"),
        pytest.param("[2001:db8:0:0::7]:443", True, id="ipv6-however-written"),
        pytest.param("127.0.0.1:8080", False, id="localhost-is-not-its-address"),
    ],
)
def test_only_what_a_rule_names_is_allowed(end: str, *, allowed: bool) -> None:
    assert RULES.allow(read_end(end)) is allowed


@pytest.mark.parametrize(
    ("end", "address", "refused"),
    [
        pytest.param("files.example:443", "93.184.216.34", False, id="public"),
        pytest.param("files.example:443", "2606:2800:220:1::1", False, id="public-ipv6"),
        pytest.param("files.example:443", "127.0.0.1", True, id="loopback"),
        pytest.param("files.example:443", "10.1.2.3", True, id="private"),
        pytest.param("files.example:443", "100.64.0.1", True, id="shared"),
        pytest.param("files.example:443", "169.254.169.254", True, id="the-metadata-service"),
        pytest.param("files.example:443", "fd00:ec2::254", True, id="the-metadata-service-on-ipv6"),
        pytest.param("files.example:443", "0.0.0.0", True, id="the-unspecified-address"),
        pytest.param("files.example:443", "224.0.0.1", True, id="multicast"),
        pytest.param("files.example:443", "::1", True, id="loopback-ipv6"),
        pytest.param("files.example:443", "fe80::1%eth0", True, id="link-local-with-its-zone"),
        pytest.param("files.example:443", "::ffff:10.0.0.1", True, id="private-as-mapped-ipv6"),
        pytest.param("files.example:443", "::ffff:224.0.0.1", True, id="multicast-as-mapped-ipv6"),
        pytest.param("localhost:8080", "::ffff:127.0.0.1", False, id="localhost-may-be-mapped-loopback"),
        pytest.param("files.example:443", "64:ff9b::a00:1", True, id="private-behind-nat64"),
        pytest.param("files.example:443", "2002:7f00:1::", True, id="loopback-as-6to4"),
        pytest.param("files.example:443", "2002:808:808::", True, id="anything-as-6to4"),
        pytest.param("files.example:443", "::127.0.0.1", True, id="loopback-as-compatible-ipv6"),
        pytest.param("localhost:8080", "127.0.0.1", False, id="localhost-may-be-loopback"),
        pytest.param("localhost:8080", "10.0.0.1", True, id="localhost-may-be-nothing-else"),
        pytest.param("192.0.2.7:9000", "192.0.2.7", False, id="an-address-that-a-rule-names"),
        pytest.param("files.example:9000", "192.0.2.7", False, id="a-name-that-stands-for-a-named-address"),
        pytest.param("files.example:443", "192.0.2.7", True, id="the-named-address-on-another-port"),
    ],
)
def test_an_address_that_is_not_public_must_be_named_itself(end: str, address: str, *, refused: bool) -> None:
    assert bool(RULES.why_not(read_end(end), address)) is refused


@given(st.ip_addresses().map(str), st.sampled_from(["files.example:443", "localhost:8080"]))
def test_no_private_address_is_ever_reached_by_a_name(address: str, end: str) -> None:
    if not RULES.why_not(read_end(end), address):
        bare = ip_address(address)
        bare = getattr(bare, "ipv4_mapped", None) or bare
        assert bare.is_global or (bare.is_loopback and end == "localhost:8080")


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_an_end(text: str) -> None:
    try:
        end = read_end(text)
    except NotAnEnd:
        return
    assert read_end(str(end)) == end


def hello(name: str | None) -> bytes:
    """What OpenSSL really sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("asked", "said"),
    [("files.example", "files.example"), ("FILES.example", "files.example"), (None, ""), ("192.0.2.7", "")],
)
def test_the_name_that_a_real_client_asks_for_is_read(asked: str | None, said: str) -> None:
    assert name_in_hello(hello(asked)) == said


def test_the_name_is_known_with_the_last_byte_and_not_before() -> None:
    data = hello("files.example")
    assert all(name_in_hello(data[:size]) is None for size in range(len(data)))
    assert name_in_hello(data + b"\x17\x03\x03 what follows is not read") == "files.example"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_first_message_in_many_records_is_put_together(size: int) -> None:
    message = hello("files.example")[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    assert name_in_hello(b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in parts)) == "files.example"


def test_a_first_message_in_endless_crumbs_is_given_up() -> None:
    """All of it is held, and read from its beginning with each piece that comes."""
    begun = b"\x01" + (60_000).to_bytes(3) + bytes(20_000)
    crumbs = b"".join(b"\x16\x03\x01\x00\x01" + begun[at : at + 1] for at in range(len(begun)))
    assert name_in_hello(crumbs[:60_000]) is None
    with pytest.raises(NotAHello, match="too long"):
        name_in_hello(crumbs)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n", id="http"),
        pytest.param(b"SSH-2.0-x\r\n", id="ssh"),
        pytest.param(b"\x80\x2e\x01\x03\x01", id="sslv2"),
        pytest.param(b"\x16\x03\x01\x00\x00", id="an-empty-record"),
        pytest.param(b"\x16\x03\x01\xff\xff", id="a-record-that-is-too-long"),
        pytest.param(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", id="a-ServerHello"),
        pytest.param(b"\x16\x03\x03\x00\x05\x01\xff\xff\xff\x00", id="a-message-that-never-ends"),
        pytest.param(b"\x16\x03\x03\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00", id="a-message-cut-short"),
    ],
)
def test_what_is_no_first_message_of_tls_is_refused(data: bytes) -> None:
    with pytest.raises(NotAHello):
        name_in_hello(data)


@given(st.binary(max_size=300), st.integers(0, 200), st.binary(max_size=8))
def test_no_first_message_breaks_the_reader(junk: bytes, at: int, patch: bytes) -> None:
    whole = hello("files.example")
    for data in (junk, b"\x16\x03\x01" + junk, whole[:at] + patch + whole[at + len(patch) :]):
        try:
            name = name_in_hello(data)
        except NotAHello:
            continue
        assert name is None or isinstance(name, str)


def request(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_a_tunnel_is_asked_for() -> None:
    got = read_request(request("CONNECT files.example:443 HTTP/1.1", "Host: files.example:443", "User-Agent: pip"))
    assert (got.end, got.tunnel) == (End("files.example", 443), True)


def test_a_plain_request_is_sent_on_as_one_of_our_own() -> None:
    got = read_request(
        request(
            "GET http://files.example/a/b?c=d HTTP/1.1",
            "Host: files.example",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic eDp5",
            "Connection: keep-alive",
            "Accept: */*",
        )
    )
    assert got.end == End("files.example", 80)
    assert got.forward == request("GET /a/b?c=d HTTP/1.1", "Host: files.example", "accept: */*", "Connection: close")


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("http://files.example", "GET / HTTP/1.1"),
        ("http://files.example:8080?x", "GET /?x HTTP/1.1"),
        ("http://FILES.example:8080/x", "GET /x HTTP/1.1"),
    ],
)
def test_a_path_is_what_follows_the_host(target: str, line: str) -> None:
    assert read_request(request(f"GET {target} HTTP/1.1")).forward.split(b"\r\n")[0] == line.encode()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(request("POST http://files.example/ HTTP/1.1"), id="another-method"),
        pytest.param(request("GET https://files.example/ HTTP/1.1"), id="https-without-a-tunnel"),
        pytest.param(request("GET /path HTTP/1.1", "Host: files.example"), id="no-proxy-request"),
        pytest.param(request("CONNECT files.example HTTP/1.1"), id="no-port"),
        pytest.param(request("CONNECT files.example:443 HTTP/2.0"), id="another-protocol"),
        pytest.param(request("CONNECT  files.example:443 HTTP/1.1"), id="two-spaces"),
        pytest.param(request("CONNECT files.example:443 HTTP/1.1", "Host: evil.example"), id="another-host"),
        pytest.param(
            request("CONNECT files.example:443 HTTP/1.1", "Host: files.example", "Host: evil.example"), id="two-hosts"
        ),
        pytest.param(request("CONNECT files.example:443 HTTP/1.1", "Content-Length: 5"), id="a-body"),
        pytest.param(request("GET http://files.example/ HTTP/1.1", "Transfer-Encoding: chunked"), id="a-chunked-body"),
        pytest.param(request("CONNECT files.example:443 HTTP/1.1", " folded: header"), id="a-folded-header"),
        pytest.param(request("CONNECT files.example:443 HTTP/1.1", "Bad Name: x"), id="a-space-in-a-header's-name"),
        pytest.param(request("CONNECT files.example:443 HTTP/1.1", "X: \x00"), id="a-control-character"),
        pytest.param(b"CONNECT files.example:443 HTTP/1.1\nX: y\r\n\r\n", id="a-bare-line-feed"),
        pytest.param(b"CONNECT files.example:443 HTTP/1.1\r\nX: y\rZ: w\r\n\r\n", id="a-bare-carriage-return"),
        pytest.param(b"\x05\x01\x00\r\n\r\n", id="socks"),
        pytest.param(request("GET http://user@files.example/ HTTP/1.1"), id="a-user-before-the-host"),
    ],
)
def test_a_request_that_two_could_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        read_request(head)


@given(st.binary(max_size=400))
def test_no_head_breaks_the_reader(junk: bytes) -> None:
    for head in (junk, junk + b"\r\n\r\n", b"CONNECT " + junk + b"\r\n\r\n", b"GET http://" + junk + b"\r\n\r\n"):
        try:
            end = read_request(head).end
        except BadRequest:
            continue
        assert read_end(str(end)) == end
