"""What a box prints: bounded in memory and on disk, live in its log, cleaned for people."""

from __future__ import annotations

import os
import re
from collections import deque

from runner.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.redact import Stream

HEAD = 256 * 1024
TAIL = 256 * 1024
EXCERPT = 64 * 1024
# A box may have put a link where its log is to be, or a pipe that nobody reads.
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_PLAIN = bytes([9, 10, *range(32, 127)])
# Terminal sequences: CSI, OSC and the other string kinds (ended by BEL or ST, or cut off by a newline), two-byte ones.
_SEQUENCES = r"\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
# C0 without tab and newline, DEL, C1, and what reorders or hides text: bidirectional controls, zero width, separators.
_UNSEEN = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"


def clean(data: bytes) -> str:
    """Box output as text that is safe to print: no control or direction characters but tab and newline.

    A carriage return starts its line again, as on a terminal, so progress bars leave their last state.
    """
    if not data.translate(None, _PLAIN):
        return data.decode("ascii")
    text = re.sub(_SEQUENCES, "", data.decode("utf-8", "replace")).replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return re.sub(_UNSEEN, "", text)


class Output:
    """Takes in a box's output as it comes, and takes the secrets out of it before anything else.

    The log file gets the first `head` bytes at once; what follows goes through a ring of `tail` bytes that `close` adds
    to the log after a line that says how much was left out. Memory stays below `tail` + `excerpt` + one read.

    Args:
        log: path of the live log, created at the first byte; "" for none. One that cannot be written is given up, and
            `lost` says why: a full disk is no verdict about the box.
        head: bytes that the log takes as they come.
        tail: bytes that are kept of the rest.
        excerpt: bytes of `text`, half from the beginning and half from the end.
        redactor: knows the run's secrets; without one only what looks like a secret is taken out.
    """

    def __init__(
        self,
        log: str = "",
        *,
        head: int = HEAD,
        tail: int = TAIL,
        excerpt: int = EXCERPT,
        redactor: Redactor | None = None,
    ) -> None:
        self.total = 0
        self._redactor = redactor or Redactor()
        self._streams: dict[int, Stream] = {}
        self.log = log
        self.lost = ""
        self._head_limit = head
        self._tail_limit = tail
        self._half = excerpt // 2
        self._first = bytearray()
        self._ring: deque[bytes] = deque()
        self._ring_size = 0
        self._ring_seen = 0
        self._fd = -1

    def write(self, data: bytes, source: int = 0) -> None:
        """Take in a piece of what one source prints; a secret may be cut in two by the pieces."""
        stream = self._streams.get(source)
        if stream is None:
            stream = self._streams[source] = self._redactor.stream()
        if told := stream.feed(data):
            self._take(told)

    def note(self, text: str) -> None:
        """Add a line of the runner's own about the box."""
        self._take(f"{self._redactor.text(text)}\n".encode("utf-8", "replace"))

    def _take(self, data: bytes) -> None:
        room = self._head_limit - self.total
        self.total += len(data)
        if len(self._first) < self._half:
            self._first += data[: self._half - len(self._first)]
        if room > 0:
            self._log(data[:room])
        self._keep(data, in_log=min(max(room, 0), len(data)))

    def text(self) -> str:
        """The excerpt that a person reads: beginning and end, with the gap named."""
        if self.total <= 2 * self._half:
            rest = self.total - len(self._first)
            return self._clean(bytes(self._first) + self._last(rest))
        omitted = self.total - 2 * self._half
        first, last = self._clean(bytes(self._first)), self._clean(self._last(self._half))
        return f"{first}\n[… {omitted} bytes left out …]\n{last}"

    def _clean(self, data: bytes) -> str:
        """As text; secrets that terminal sequences had hidden are taken out now."""
        text = clean(data)
        return text if len(text) == len(data) else self._redactor.text(text)

    def close(self) -> None:
        """Complete the log and let go of its file."""
        for stream in self._streams.values():
            self._take(stream.flush())
        self._streams.clear()
        beyond = self._ring_seen
        if beyond > 0:
            kept = self._last(min(beyond, self._tail_limit))
            if beyond > len(kept):
                self._log(b"\n[... %d bytes left out ...]\n" % (beyond - len(kept)))
            self._log(kept)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _keep(self, data: bytes, *, in_log: int) -> None:
        # The ring also holds what the log has already: the excerpt's end may reach back into it.
        self._ring_seen += len(data) - in_log
        self._ring.append(data[-self._tail_limit :])
        self._ring_size += len(self._ring[-1])
        while self._ring_size - len(self._ring[0]) >= self._tail_limit:
            self._ring_size -= len(self._ring.popleft())

    def _last(self, count: int) -> bytes:
        return b"".join(self._ring)[-count:] if count > 0 else b""

    def _log(self, data: bytes) -> None:
        if not self.log or not data:
            return
        try:
            if self._fd < 0:
                self._fd = _create(self.log)
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.log = ""
            self.lost = error.strerror or "it cannot be written"


def _create(path: str) -> int:
    """Open a new log. Its directory is there for all logs of a run but the first."""
    try:
        return os.open(path, _OPEN, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return os.open(path, _OPEN, 0o644)
