"""A stand-in for the bot: has secrets in its environment and command line, and listens in every way that there is.

Usage: stand_in.py DIRECTORY --token=SECRET. Writes DIRECTORY/bot.json when it is ready; ends when its input ends.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path


def greet(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"this is the bot\n")


def echo(receiver: socket.socket) -> None:
    while True:
        _, sender = receiver.recvfrom(100)
        receiver.sendto(b"this is the bot\n", sender)


def ways_into_groups() -> list[int]:
    """Descriptors as the runner has them, of the groups that this process is in, as far as it may."""
    lists = [path for path in Path("/sys/fs/cgroup").glob("**/cgroup.procs") if os.access(path, os.W_OK)]
    me = str(os.getpid())
    return [os.open(path, os.O_WRONLY) for path in lists if me in path.read_text().split()]


def main(directory: Path) -> None:
    held = ways_into_groups()
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract_name = f"interlock-stand-in-{os.getpid()}"
    abstract.bind(f"\0{abstract_name}")
    file = socket.socket(socket.AF_UNIX)
    file.bind(str(directory / "bot.sock"))
    (directory / "bot.sock").chmod(0o666)
    for listener in (tcp, abstract, file):
        listener.listen()
        threading.Thread(target=greet, args=(listener,), daemon=True).start()
    threading.Thread(target=echo, args=(udp,), daemon=True).start()
    ready = {
        "bot": os.getpid(),
        "tcp": tcp.getsockname()[1],
        "udp": udp.getsockname()[1],
        "abstract": abstract_name,
        "socket_file": str(directory / "bot.sock"),
    }
    (directory / "bot.json.new").write_text(json.dumps(ready))
    (directory / "bot.json.new").rename(directory / "bot.json")
    print("ready", flush=True)
    sys.stdin.read()
    for fd in held:
        os.close(fd)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
