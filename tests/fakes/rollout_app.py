"""A release: says its name at every path, keeps connections alive, and does what its file `fault` says.

`fault` holds the share of answers that are errors. Started by targets, so it imports nothing of ours.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

FAULT = Path("fault")
NAME = sys.argv[1]
GOOD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(NAME)}\r\n\r\n{NAME}".encode()
BAD = b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"

share = 0.0


class Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.unread = b""

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while b"\r\n\r\n" in self.unread:
            _, _, self.unread = self.unread.partition(b"\r\n\r\n")
            answer = BAD if share and random.random() < share else GOOD
            assert isinstance(self.transport, asyncio.WriteTransport)
            self.transport.write(answer)


async def main() -> None:
    global share  # noqa: PLW0603 - it is the one thing that changes.
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", int(os.environ["PORT"]), backlog=512)
    print(f"{NAME} serves", flush=True)  # noqa: T201 - what a release prints.
    async with server:
        while True:
            share = float(FAULT.read_text()) if FAULT.exists() else 0.0
            await asyncio.sleep(0.02)


asyncio.run(main())
