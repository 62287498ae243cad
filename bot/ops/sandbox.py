"""What isolation boxes get on this machine: what the owner asked for, and what trying out has found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from bot.domain.trust import TrustLevel
from runner.errors import UserError
from runner.isolation import Level, Rung, choose
from runner.sandbox.probe import rungs


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The setting, the ladder, best rung first, and the image for boxes in containers."""

    asked: str
    rungs: tuple[Rung, ...]
    image: str = ""

    def level(self, trust: str) -> Level:
        """What a run of this trust level gets.

        Raises:
            UserError: what was asked for, or what the trust level demands, does not work here; nothing may run.
        """
        if self.asked == "off" and trust == TrustLevel.T2:
            message = "code of strangers runs only in a full sandbox, and this installation isolates nothing"
            raise UserError(message, hint="whoever runs Interlock sets INTERLOCK_SANDBOX to auto or full")
        return choose(self.asked, trust, self.rungs)

    @property
    def best(self) -> Level:
        """The best level that works here, whatever was asked for."""
        return next((rung.level for rung in self.rungs if rung.works), Level.OFF)

    @property
    def facts(self) -> Mapping[str, object]:
        """For the health page: the setting, the level, and why no better one works."""
        if self.asked == "off":
            return {"asked": self.asked, "level": str(Level.OFF), "full": False, "better": []}
        better = []
        for rung in self.rungs:
            if rung.works:
                break
            better.append({"level": str(rung.level), "why_not": rung.why, "fix": rung.fix})
        return {"asked": self.asked, "level": str(self.best), "full": self.best.full, "better": better}


def find_sandbox(asked: str, image: str) -> Sandbox:
    """Try what this machine offers. Takes some milliseconds, with a container engine a second; it may block."""
    environ = {"PATH": os.environ.get("PATH", os.defpath)}
    if image:
        environ["INTERLOCK_SANDBOX_IMAGE"] = image
    return Sandbox(asked, rungs(environ), image)
