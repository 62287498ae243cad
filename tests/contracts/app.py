"""A release: serves its name on $PORT, and does what paths ask for. Started by targets, so it imports nothing of ours.

/status/503 answers so; /slow?0.3 takes its time; /hang never answers; /env says its variables; /close breaks off.
"""

import asyncio
import json
import os
import sys


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            status, body = 200, sys.argv[1]
            if path.startswith("/status/"):
                status = int(path.removeprefix("/status/"))
            elif path.startswith("/slow"):
                await asyncio.sleep(float(path.partition("?")[2]))
            elif path == "/hang":
                await asyncio.sleep(3600)
            elif path == "/env":
                body = json.dumps(dict(os.environ))
            elif path == "/close":
                return
            writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", int(os.environ["PORT"]), backlog=512)
    print(f"{sys.argv[1]} serves", flush=True)  # noqa: T201 - what a release prints.
    await server.serve_forever()


asyncio.run(main())
