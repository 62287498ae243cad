"""The sockets that the bot listens on: claimed before anything is opened, so that a taken port is one sentence."""

from __future__ import annotations

import contextlib
import errno
import socket


class CannotListen(Exception):
    """The address cannot be listened on. Nothing was opened; the message says what to choose instead."""


def claim(host: str, port: int) -> list[socket.socket]:
    """Bind every address of `host`. Connections are refused until the server listens.

    Raises:
        CannotListen: the port is taken or not allowed, or the host is no address of this machine.
    """
    try:
        # IPPROTO_TCP by name: only then asyncio sets TCP_NODELAY, without which each answer waits for an ACK.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (socket.gaierror, UnicodeError) as unknown:
        raise CannotListen(_foreign(host)) from unknown
    with contextlib.ExitStack() as opened:
        sockets = []
        for family, kind, protocol, _, address in found:
            claimed = opened.enter_context(socket.socket(family, kind, protocol))
            claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                claimed.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                claimed.bind(address)
            except OSError as refused:
                raise CannotListen(_sentence(refused, host, port)) from refused
            sockets.append(claimed)
        opened.pop_all()
    return sockets


def _sentence(refused: OSError, host: str, port: int) -> str:
    match refused.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is in use; stop what uses it, or choose another with --port"
        case errno.EACCES:
            return f"only root may listen on port {port}; choose one from 1024 with --port, behind a web server"
        case errno.EADDRNOTAVAIL:
            return _foreign(host)
        case _:
            return f"cannot listen on port {port} of {host}: {refused.strerror}"


def _foreign(host: str) -> str:
    return f"{host} is not an address of this machine; choose one with --host"
