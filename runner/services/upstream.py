"""The proxy through which this machine itself reaches the outside, where its environment names one.

Then names are resolved there: whoever runs that proxy decides what an allowed name stands for.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from runner.services.egress_rules import LOCALHOST
from runner.services.proxy_request import HTTP

if TYPE_CHECKING:
    from runner.services.egress_rules import End
    from runner.services.tunnel import Streams

_LONGEST_ANSWER = 65536


class UpstreamRefused(OSError):
    """The machine's own proxy did not connect. The message says what it answered."""


class Upstream:
    """A proxy, by its URL: `http://[user:password@]host:port`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or HTTP
        given = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        self._authorization = f"Proxy-Authorization: Basic {b64encode(given.encode()).decode()}\r\n" if given else ""

    async def connect(self, end: End) -> Streams:
        """A tunnel to an end.

        Raises:
            OSError: there is none; nothing is left open.
        """
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=_LONGEST_ANSWER)
        try:
            writer.write(f"CONNECT {end} HTTP/1.1\r\nHost: {end}\r\n{self._authorization}\r\n".encode())
            _check(await reader.readuntil(b"\r\n\r\n"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()
            raise UpstreamRefused("this machine's own proxy gave no answer") from None
        except BaseException:
            writer.close()
            raise
        return reader, writer


def _check(head: bytes) -> None:
    first = head.split(b"\r\n", 1)[0].decode("ascii", "replace")
    if first.split(" ")[1:2] != ["200"]:
        message = f"this machine's own proxy answered {first[:100]}"
        raise UpstreamRefused(message)


def upstream_of(end: End) -> Upstream | None:
    """The proxy that this process's environment names for an end; None where it is reached directly.

    Also None for this machine, for what `no_proxy` names, and for proxies that do not speak plain HTTP.
    """
    if end.host == LOCALHOST or (end.address and not end.address.is_global):
        return None
    if proxy_bypass(end.host):
        return None
    proxies = getproxies_environment()
    url = proxies.get("http" if end.port == HTTP else "https", "") or proxies.get("all", "")
    return Upstream(url if "://" in url else f"http://{url}") if url and _is_plain(url) else None


def _is_plain(url: str) -> bool:
    return url.startswith("http://") or "://" not in url
