"""Forwarders: TCP ports of a sandbox's own loopback, each answered by a unix socket that is bound into it.

The warden starts one process for all of them, inside the sandbox, before the box. Standard library only, and nothing of
the runner: inside, this file is all there is of it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_PAIRS = 256  # connections at once; more wait to be accepted
_BUFFER = 1 << 16
_BACKLOG = 128
_AGAIN_MS = 10  # until a unix socket whose queue was full is tried again
_READ, _WRITE = select.POLLIN, select.POLLOUT
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER, zero seconds: closing tells the other side that the connection broke.


def start(ports: Mapping[int, str]) -> int:
    """Listen on the ports and answer them in a child process.

    Args:
        ports: TCP port -> path of a unix socket. It need not be there yet; a connection is broken while it is not.

    Returns:
        The child's pid, once everything is listened to. It runs until it is killed.

    Raises:
        OSError: a port could not be listened to; nothing was started.
    """
    listeners = listen(ports)
    pid = os.fork()
    if pid:
        for listener in listeners:
            listener.close()
        return pid
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a polite end is for the box; ours comes with the sandbox's.
        _close_others(listeners)
        Forwarder(listeners).run()
    finally:
        os._exit(1)


def listen(ports: Mapping[int, str]) -> dict[socket.socket, str]:
    """A listening socket for each port, on 127.0.0.1 and, where there is one, on ::1; with the path that answers."""
    listeners: dict[socket.socket, str] = {}
    try:
        for port, path in ports.items():
            listeners[_listener(socket.AF_INET, ("127.0.0.1", port))] = path
            try:
                listeners[_listener(socket.AF_INET6, ("::1", port))] = path
            except OSError:
                continue  # A kernel without IPv6, or a loopback without it.
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listener(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class _Way:
    """One direction of a connection: bytes that were read from `source` and wait for `target`."""

    __slots__ = ("ended", "source", "target", "waiting")

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.waiting = memoryview(b"")
        self.ended = False  # the source has said its last, and the target has been told.

    def wants_source(self) -> bool:
        """Nothing more is read before the target has taken what was: a slow reader slows its writer down."""
        return not self.ended and not self.waiting

    def move(self) -> None:
        """Take on and pass on what there is, as far as both sides let us.

        Raises:
            OSError: one of them has broken.
        """
        for _ in range(16):  # one busy connection shall not keep the others waiting.
            if not self.waiting:
                try:
                    part = self.source.recv(_BUFFER)
                except BlockingIOError:
                    return
                if not part:
                    self.ended = True
                    self.target.shutdown(socket.SHUT_WR)
                    return
                self.waiting = memoryview(part)
            try:
                self.waiting = self.waiting[self.target.send(self.waiting) :]
            except BlockingIOError:
                return


class _Pair:
    """A client's connection and the unix socket's that answers it."""

    __slots__ = ("answer", "back", "client", "forth", "watched")

    def __init__(self, client: socket.socket, answer: socket.socket) -> None:
        self.client = client
        self.answer = answer
        self.forth = _Way(client, answer)
        self.back = _Way(answer, client)
        self.watched = {client: 0, answer: 0}

    def move(self) -> bool:
        """Both ways. Returns whether there will be more."""
        for way in (self.forth, self.back):
            if not way.ended:
                way.move()
        return not (self.forth.ended and self.back.ended)

    def wishes(self, end: socket.socket) -> int:
        """What to wait for at one end."""
        comes, goes = (self.forth, self.back) if end is self.client else (self.back, self.forth)
        return (_READ if comes.wants_source() else 0) | (_WRITE if goes.waiting else 0)

    def close(self, *, broken: bool) -> None:
        """Let go of both ends. A connection that broke at one end breaks at the other: its bytes are not complete."""
        if broken:
            _set_reset(self.client)
        self.client.close()
        self.answer.close()


class Forwarder:
    """Splices connections until it is told to stop. One thread, one poll.

    Args:
        listeners: sockets that listen, with the path of the unix socket that answers each.
    """

    def __init__(self, listeners: Mapping[socket.socket, str]) -> None:
        self._listeners = dict(listeners)
        self._by_fd = {listener.fileno(): listener for listener in self._listeners}
        self._pairs: dict[int, _Pair] = {}
        self._waiting: list[tuple[socket.socket, str]] = []  # accepted; the unix socket had no room for them
        self._poll = select.poll()
        self._accepting = False
        self._accept_while_there_is_room()

    @property
    def open(self) -> int:
        """Connections that are being spliced."""
        return len(self._pairs) // 2 + len(self._waiting)

    def run(self) -> None:
        """Until the process ends."""
        while True:
            self.step(None)

    def step(self, milliseconds: int | None) -> None:
        """Wait for something to do, and do it."""
        for fd, seen in self._poll.poll(_AGAIN_MS if self._waiting else milliseconds):
            if fd in self._by_fd:
                self._accept(self._by_fd[fd])
            elif pair := self._pairs.get(fd):
                self._serve(pair, broken=bool(seen & select.POLLERR))
        waiting, self._waiting = self._waiting, []
        for client, path in waiting:
            self._connect(client, path)
        self._accept_while_there_is_room()

    def close(self) -> None:
        """Break off everything and stop listening."""
        for pair in set(self._pairs.values()):
            self._drop(pair, broken=True)
        for client, _ in self._waiting:
            client.close()
        self._waiting.clear()
        for listener in self._listeners:
            listener.close()

    def _accept_while_there_is_room(self) -> None:
        room = self.open < MOST_PAIRS
        if room != self._accepting:
            self._accepting = room
            for fd in self._by_fd:
                if room:
                    self._poll.register(fd, _READ)
                else:
                    self._poll.unregister(fd)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # It went away again, or there are no descriptors left: it stays in the queue.
        client.setblocking(False)
        self._connect(client, self._listeners[listener])

    def _connect(self, client: socket.socket, path: str) -> None:
        try:
            answer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError:
            self._refuse(client)
            return
        answer.setblocking(False)
        try:
            _reach(answer, path)
        except BlockingIOError:
            answer.close()
            self._waiting.append((client, path))
            return
        except OSError:
            answer.close()
            self._refuse(client)
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _Pair(client, answer)
        self._pairs[client.fileno()] = self._pairs[answer.fileno()] = pair
        self._watch(pair)

    def _refuse(self, client: socket.socket) -> None:
        _set_reset(client)
        client.close()

    def _serve(self, pair: _Pair, *, broken: bool) -> None:
        try:
            more = pair.move()
        except OSError:
            more, broken = False, True
        if broken or not more:
            self._drop(pair, broken=broken)
        else:
            self._watch(pair)

    def _watch(self, pair: _Pair) -> None:
        """Poll for what the pair waits for, and for nothing else: an end that has gone would be reported for ever."""
        for end, before in pair.watched.items():
            wishes = pair.wishes(end)
            if wishes == before:
                continue
            if not wishes:
                self._poll.unregister(end)
            elif before:
                self._poll.modify(end, wishes)
            else:
                self._poll.register(end, wishes)
            pair.watched[end] = wishes

    def _drop(self, pair: _Pair, *, broken: bool) -> None:
        for end, watched in pair.watched.items():
            del self._pairs[end.fileno()]
            if watched:
                self._poll.unregister(end)
        pair.close(broken=broken)


def _reach(answer: socket.socket, path: str) -> None:
    """Connect to a unix socket. An address has room for 107 bytes, a path may be longer."""
    if len(os.fsencode(path)) < 100:
        answer.connect(path)
        return
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        answer.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    finally:
        os.close(directory)


def _set_reset(client: socket.socket) -> None:
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        pass


def _close_others(listeners: Mapping[socket.socket, str]) -> None:
    """Hold nothing that the box or its reader waits to see closed: its output, the warden's status."""
    kept = {listener.fileno() for listener in listeners}
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in kept:
            try:
                os.close(fd)
            except OSError:
                continue  # The listing's own.
