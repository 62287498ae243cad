"""The giver of allowed hosts: each job that may reach some gets a proxy of its own, and is told of it.

A job in a sandbox has no other way out: names, raw addresses, DNS and UDP have no route there.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from runner.services.egress_rules import LOCALHOST, NotAnEnd, Rules
from runner.services.ground import CannotProvide, Provided
from runner.services.proxy import Proxy
from runner.services.sockets import listen
from runner.services.tunnel import Caps

if TYPE_CHECKING:
    from runner.attendant import Wish
    from runner.services.ground import Ground

PORT = 3128  # on the box's own loopback


class Egress:
    """The giver of allowed hosts."""

    def __init__(self, caps: Caps | None = None) -> None:
        self._caps = caps or Caps()
        self._proxies: dict[str, Proxy] = {}

    async def provide(self, wish: Wish, ground: Ground) -> Provided:
        """Start the job's proxy, if it may reach anything."""
        if not wish.hosts:
            return Provided()
        try:
            rules = Rules(wish.hosts)
        except NotAnEnd as why:
            message = f"network: {', '.join(wish.hosts)}: {why}"
            raise CannotProvide(message) from None
        proxy = Proxy(rules, lambda what: ground.refuse(wish.id, what), self._caps)
        self._proxies[wish.id] = proxy
        path = os.path.join(wish.directory, "egress") if wish.unix else ""
        listener = listen(path, uid=wish.uid, gid=wish.gid)
        port = PORT if wish.unix else listener.getsockname()[1]
        await proxy.start(listener)
        return Provided(env=variables(port, rules), sockets={port: path})

    async def release(self, id: str) -> None:  # noqa: A002 - as Wish.
        """Close the job's proxy and every connection through it."""
        if proxy := self._proxies.pop(id, None):
            await proxy.close()

    async def close(self) -> None:
        """Close all proxies."""
        await asyncio.gather(*(self.release(name) for name in list(self._proxies)))


def variables(port: int, rules: Rules) -> dict[str, str]:
    """What tells programs of the proxy. The box's own loopback is not reached through it.

    `localhost` is, where a rule names that: it is this machine's then, and 127.0.0.1 remains the box's.
    """
    proxy = f"http://127.0.0.1:{port}"
    own = ["127.0.0.1", "::1"] if rules.name(LOCALHOST) else [LOCALHOST, "127.0.0.1", "::1"]
    env = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": ",".join(own)}
    # An HTTP box asks nobody on its own loopback, so it takes the way out for 127.0.0.1 too.
    return {**env, **{name.lower(): value for name, value in env.items()}, "BOX_EGRESS": proxy}
