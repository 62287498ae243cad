"""Files that are there as a whole or not at all. What is no regular file (a device, a pipe) is written to instead."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def write_whole(path: str, text: Iterable[str]) -> None:
    """Replace the file at once; through a link, the file that it leads to.

    Raises:
        OSError: it cannot be written. What was there before is still there.
    """
    if _is_special(path):
        # Replacing it would leave a file where `/dev/null` was.
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(text)
        return
    target = os.path.realpath(path)
    aside = f"{target}.{os.getpid()}.tmp"
    try:
        with open(aside, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(text)
        os.replace(aside, target)
    except OSError as error:
        error.filename = path  # not ours aside, and a failed write names none.
        try:
            os.unlink(aside)
        except OSError:
            pass
        raise


def check_writable(path: str) -> None:
    """Find out before the work whether a file can be written; nothing is left where nothing was.

    Raises:
        OSError: it cannot.
    """
    if _is_special(path):
        return  # opening a pipe waits for its reader.
    new = not os.path.exists(path)
    open(path, "ab").close()
    if new:
        os.unlink(os.path.realpath(path))


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
