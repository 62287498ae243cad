"""Finds programs of servers: on PATH, where distributions put them, in a wheel beside the runner."""

from __future__ import annotations

import asyncio
import glob
import os
import re
import sys

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VERSION = re.compile(r"(?:\(PostgreSQL\) |v=)(\d+(?:\.\d+)*)")
_PATIENCE = 10.0  # seconds


class Installation(Value):
    """A service's programs on this machine: their directory, their version, and where that was found."""

    __slots__ = ("directory", "origin", "version")

    def __init__(self, directory: str, version: str, origin: str) -> None:
        self.directory = directory
        self.version = version
        self.origin = origin

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version.partition(".")[0])

    def __str__(self) -> str:
        return f"{self.version} ({self.origin})"


def directories(
    program: str,
    environ: Mapping[str, str],
    *,
    places: Sequence[str] = (),
    wheels: Mapping[str, str] | None = None,
    search: Sequence[str] = (),
) -> Iterator[tuple[str, str]]:
    """Directories that hold a program, each with where it is from; no directory twice.

    Args:
        program: the file's name.
        environ: whose PATH comes first.
        places: globs of further directories; of several matches the one with the highest number comes first.
        wheels: the distributions that carry it, and where in site-packages. They are looked up, not imported.
        search: where packages are looked for, besides beside this interpreter.
    """
    seen: set[str] = set()
    for directory, origin in _candidates(environ, places, wheels or {}, search):
        path = os.path.join(directory, program)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            real = os.path.dirname(os.path.realpath(path))
            if real not in seen:
                seen.add(real)
                yield real, origin or real


def _candidates(
    environ: Mapping[str, str], places: Sequence[str], wheels: Mapping[str, str], search: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for directory in environ.get("PATH", os.defpath).split(os.pathsep):
        if directory:
            yield directory, ""
    for place in places:
        for directory in sorted(glob.glob(place), key=_numbers, reverse=True):
            yield directory, ""
    for name, inside in wheels.items():
        for packages in _site_packages(search):
            yield os.path.join(packages, inside), f"the package {name}"


def _numbers(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def _site_packages(search: Sequence[str]) -> list[str]:
    """Where packages are installed beside this interpreter, also when it was started without looking there."""
    prefix = os.path.dirname(os.path.dirname(sys.executable))
    beside = os.path.join(prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    return [
        beside,
        *(path for path in (*search, *sys.path) if os.path.basename(path) == "site-packages" and path != beside),
    ]


async def version_of(program: str) -> str:
    """The version that a server's `--version` tells; "" when it cannot be run or says none."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    match = _VERSION.search(out.decode("utf-8", "replace"))
    return match[1] if match else ""
