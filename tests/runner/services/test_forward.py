from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.sandbox import forward
from runner.sandbox.forward import Forwarder, listen
from runner.services import sockets

if TYPE_CHECKING:
    from collections.abc import Iterator


SECONDS = 20


class Splice:
    """A forwarder in a thread, from a free port to a unix socket that the test answers itself."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "answer")
        self.server = sockets.listen(self.path)
        self.server.listen(300)
        self.server.settimeout(SECONDS)
        self.port = free_port()
        self.forwarder = Forwarder(listen({self.port: self.path}))
        self._wake, woken = socket.socketpair()
        self._stop = False
        self.forwarder._poll.register(woken, 1)
        self._woken = woken
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop:
            self.forwarder.step(None)

    def client(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        client = self.client()
        answer, _ = self.server.accept()
        answer.settimeout(SECONDS)
        return client, answer

    def close(self) -> None:
        self._stop = True
        self._wake.send(b"x")
        self._thread.join(SECONDS)
        self.forwarder.close()
        for end in (self._wake, self._woken, self.server):
            end.close()


@pytest.fixture
def splice(tmp_path: Path) -> Iterator[Splice]:
    splice = Splice(tmp_path)
    yield splice
    splice.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read_all(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


def test_the_answer_may_be_at_a_path_that_no_address_has_room_for(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    splice = Splice(deep)
    try:
        client, answer = splice.pair()
        with client, answer:
            client.sendall(b"question")
            assert answer.recv(8) == b"question"
    finally:
        splice.close()


def test_both_directions_and_half_closing_them(splice: Splice) -> None:
    client, answer = splice.pair()
    with client, answer:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(answer) == b"question"
        answer.sendall(b"answer after the question's end")
        answer.close()
        assert read_all(client) == b"answer after the question's end"


def test_an_end_that_only_stops_sending_still_receives(splice: Splice) -> None:
    client, answer = splice.pair()
    with client, answer:
        answer.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        client.sendall(b"still here")
        client.shutdown(socket.SHUT_WR)
        assert read_all(answer) == b"still here"


def test_32_megabytes_come_back_whole_while_nobody_reads_ahead(splice: Splice) -> None:
    client, answer = splice.pair()
    sent = os.urandom(1 << 20) * 32

    def echo() -> None:
        while part := answer.recv(1 << 16):
            answer.sendall(part)
        answer.close()

    def send() -> None:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=echo), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    came = read_all(client)
    for thread in threads:
        thread.join(SECONDS)
    client.close()
    assert came == sent


def test_a_slow_reader_slows_its_writer_down_instead_of_filling_memory(splice: Splice) -> None:
    client, answer = splice.pair()
    with client, answer:
        client.setblocking(False)
        taken = 0
        quiet = 0
        while quiet < 50:  # until nothing more is taken on, though all others are served meanwhile.
            try:
                taken += client.send(b"x" * 65536)
                quiet = 0
            except BlockingIOError:
                other, far = splice.pair()
                other.close()
                read_all(far)
                far.close()
                quiet += 1
        waiting = sum(len(pair.forth.waiting) for pair in set(splice.forwarder._pairs.values()))
        assert 0 < waiting <= 65536
        assert taken < 32 << 20


def test_a_connection_that_breaks_behind_breaks_in_front(splice: Splice) -> None:
    client, answer = splice.pair()
    with client:
        client.sendall(b"unread")
        assert answer.recv(1) == b"u"
        answer.close()  # with bytes unread: the kernel calls that a reset
        with pytest.raises(ConnectionResetError):
            read_all(client)


def test_a_connection_that_breaks_in_front_ends_behind(splice: Splice) -> None:
    client, answer = splice.pair()
    with answer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert read_all(answer) == b""


def test_a_socket_that_nobody_answers_breaks_the_connection(tmp_path: Path) -> None:
    port = free_port()
    forwarder = Forwarder(listen({port: str(tmp_path / "nobody")}))
    with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
        forwarder.step(None)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert forwarder.open == 0
    forwarder.close()


def test_no_descriptor_is_kept_of_connections_that_ended(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "answer"))
    server.listen()
    port = free_port()
    forwarder = Forwarder(listen({port: str(tmp_path / "answer")}))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        client = socket.create_connection(("127.0.0.1", port), SECONDS)
        client.sendall(b"x")
        client.close()
        forwarder.step(None)
        answer, _ = server.accept()
        while forwarder.open:
            forwarder.step(10)
            answer.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    forwarder.close()
    server.close()


def test_more_connections_than_there_is_room_for_wait_their_turn(
    splice: Splice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "MOST_PAIRS", 4)
    clients = [splice.client() for _ in range(12)]
    answered = 0
    while answered < len(clients):
        answer, _ = splice.server.accept()
        answer.settimeout(SECONDS)
        answer.sendall(b"welcome")
        answer.shutdown(socket.SHUT_WR)
        clients[answered].settimeout(SECONDS)
        assert splice.forwarder.open <= 4
        assert read_all(clients[answered]) == b"welcome"
        clients[answered].close()
        answer.close()
        answered += 1


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(["client", "answer"]), st.binary(max_size=3000), st.booleans()),
        max_size=12,
    )
)
def test_what_one_end_says_is_what_the_other_hears(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, bytes, bool]]
) -> None:
    splice = Splice(tmp_path_factory.mktemp("law"))
    try:
        client, answer = splice.pair()
        ends = {"client": client, "answer": answer}
        told: dict[str, bytes] = {"client": b"", "answer": b""}
        closed: set[str] = set()
        for speaker, words, last in said:
            if speaker not in closed:
                ends[speaker].sendall(words)
                told[speaker] += words
                if last:
                    ends[speaker].shutdown(socket.SHUT_WR)
                    closed.add(speaker)
        for speaker in {"client", "answer"} - closed:
            ends[speaker].shutdown(socket.SHUT_WR)
        assert read_all(answer) == told["client"]
        assert read_all(client) == told["answer"]
        client.close()
        answer.close()
    finally:
        splice.close()


def test_the_process_that_forwards_listens_before_it_is_needed_and_keeps_nothing_else_open(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "answer"))
    server.listen()
    server.settimeout(SECONDS)
    read, write = os.pipe()
    port = free_port()
    pid = forward.start({port: str(tmp_path / "answer")})
    try:
        os.close(write)
        os.set_blocking(read, True)
        assert os.read(read, 1) == b""  # the forwarder did not keep the pipe's other end
        os.kill(pid, signal.SIGTERM)  # a polite end is for the box
        with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
            answer, _ = server.accept()
            answer.sendall(b"hello")
            assert client.recv(5) == b"hello"
            answer.close()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)
        server.close()
