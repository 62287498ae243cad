"""Which ends a job may reach: the rules as written, and what an address must be to be connected to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HTTPS = 443
LOCALHOST = "localhost"
_SAID = 8  # rules that a refusal names

_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_NAT64 = ip_network("64:ff9b::/96")
# Obsolete ways to carry any IPv4 address: 6to4, Teredo, IPv4-compatible. What Python holds of them varies by release.
_OBSOLETE = tuple(map(ip_network, ("2002::/16", "2001::/32", "::/96")))


class NotAnEnd(ValueError):
    """A text is no `host:port`. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class End:
    """A host, in lower case and without a last dot, and a port. `address` is set when the host is a raw address."""

    host: str
    port: int
    address: IPv4Address | IPv6Address | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_end(text: str, *, port: int | None = None) -> End:
    """Read `host:port`, `1.2.3.4:port` or `[::1]:port`.

    Args:
        text: as a client or a rule writes it.
        port: the port of a text without one; None demands one.

    Raises:
        NotAnEnd: it is none.
    """
    host, number = _split(text, port)
    if host.startswith("[") and host.endswith("]"):
        try:
            address = IPv6Address(host[1:-1])
        except ValueError:
            raise NotAnEnd("its host is no IPv6 address") from None
        if address.scope_id:
            raise NotAnEnd("its host is an address of one link only")
        return End(str(address), number, address)
    host = host.lower().removesuffix(".")
    try:
        known = IPv4Address(host)
    except ValueError:
        pass
    else:
        return End(host, number, known)
    if not _HOST.fullmatch(host):
        raise NotAnEnd("its host is no host's name")
    if re.fullmatch(r"(?:0x[0-9a-f]*|[0-9]+)", host.rpartition(".")[2]):
        raise NotAnEnd("its host is an address in disguise")  # resolvers read 0x7f.1 and 2130706433 as addresses.
    return End(host, number)


def _split(text: str, port: int | None) -> tuple[str, int]:
    host, colon, digits = text.rpartition(":")
    if not colon or digits.endswith("]"):
        if port is None:
            raise NotAnEnd("it has no port")
        return text, port
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
        raise NotAnEnd("its port is no port")
    return host, int(digits)


@dataclass(frozen=True, slots=True)
class _Rule:
    end: End
    below: bool  # any name below the end's, but not that itself

    def matches(self, end: End) -> bool:
        if end.port != self.end.port:
            return False
        return end.host.endswith(f".{self.end.host}") if self.below else end.host == self.end.host


class Rules:
    """What one job may reach.

    Args:
        hosts: `host:port` each; `*.host:port` allows every name below it. The port is 443 where none is written.

    Raises:
        NotAnEnd: one of them cannot be read.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._rules = tuple(
            _Rule(read_end(host.removeprefix("*."), port=HTTPS), host.startswith("*.")) for host in hosts
        )
        self._addresses = {(rule.end.address, rule.end.port) for rule in self._rules if rule.end.address}

    def __str__(self) -> str:
        said = [f"{'*.' if rule.below else ''}{rule.end}" for rule in self._rules]
        more = f" and {len(said) - _SAID} more" if len(said) > _SAID else ""
        return ", ".join(said[:_SAID]) + more

    def allow(self, end: End) -> bool:
        """Whether a rule names this end."""
        return any(rule.matches(end) for rule in self._rules)

    def name(self, host: str) -> bool:
        """Whether some rule is about this host."""
        return any(rule.end.host == host for rule in self._rules)

    def why_not(self, end: End, address: str) -> str:
        """Why an allowed end must not be reached at an address that its name stands for; "" when it may be.

        A public name can be made to point into the network of the machine that runs boxes, and at its metadata
        service. So an address that is not public must itself be named by a rule; only `localhost` may be one.
        """
        bare = _bare(address)
        if bare.is_loopback and end.host == LOCALHOST:
            return ""
        if bare.is_global and not bare.is_multicast and not any(bare in network for network in _OBSOLETE):
            return ""
        if (bare, end.port) in self._addresses:
            return ""
        return f"it stands for {bare}, which is not public; name that address in a rule too"


def _bare(address: str) -> IPv4Address | IPv6Address:
    """An address without its zone; the IPv4 address that an IPv6 one carries, where a gateway would unpack it."""
    bare = ip_address(address.partition("%")[0])
    if isinstance(bare, IPv4Address):
        return bare
    if bare in _NAT64:
        return IPv4Address(int(bare) & 0xFFFFFFFF)
    return bare.ipv4_mapped or bare
