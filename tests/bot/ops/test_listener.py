from __future__ import annotations

import socket

import pytest

from bot.ops.listener import CannotListen, claim


def test_a_claimed_port_refuses_connections_until_somebody_listens() -> None:
    (claimed,) = claim("127.0.0.1", 0)
    with claimed, pytest.raises(ConnectionRefusedError):
        socket.create_connection(claimed.getsockname(), timeout=5)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"port {port} on 127\.0\.0\.1 is in use; .*--port"):
            claim("127.0.0.1", port)


@pytest.mark.parametrize("host", ["198.51.100.1", "no-such-host.invalid", "a..b"])
def test_a_host_that_is_not_this_machine_is_named(host: str) -> None:
    with pytest.raises(CannotListen, match="is not an address of this machine; choose one with --host"):
        claim(host, 0)
