"""A mark on everything that this process starts from now on, which survives a cleared environment and a new session.

It is a soft limit on how long a real-time process may compute without a pause (RLIMIT_RTTIME): some thousand centuries,
a number drawn for this run. Resource limits are inherited by every fork and kept by every exec, this one has no effect
on ordinary processes, and nobody sets it by accident. Whoever means to can shed it: it finds strays, it holds no
attacker.
"""

from __future__ import annotations

import os

_UNLIMITED = 1 << 62
_DRAWN = 1 << 40
_LINE = b"Max realtime timeout"


class Tag:
    """Sets the mark; `value` is 0 where the system has none such, or the limit is in use."""

    def __init__(self) -> None:
        import resource  # 0.3 ms, for those who start something.

        self.value = 0
        self._before = (0, 0)
        number = getattr(resource, "RLIMIT_RTTIME", None)
        if number is None:
            return
        soft, hard = resource.getrlimit(number)
        if hard not in {-1, resource.RLIM_INFINITY}:
            return  # Real-time processes are kept short here, and that is to stay.
        self._before = (soft, hard)
        self.value = _UNLIMITED - int.from_bytes(os.urandom(5), "big") % _DRAWN
        resource.setrlimit(number, (self.value, hard))

    def remove(self) -> None:
        """Put the limit back as it was; what has been started keeps the mark."""
        if self.value:
            import resource

            resource.setrlimit(resource.RLIMIT_RTTIME, self._before)
            self.value = 0


def has_tag(pid: int, value: int) -> bool:
    """Whether a process bears the mark. Needs /proc."""
    try:
        with open(f"/proc/{pid}/limits", "rb", 0) as stream:
            text = stream.read(4096)
    except OSError:
        return False
    return b"%s %d " % (_LINE, value) in b" ".join(text.split()) + b" "
