"""How to run at home what ran here: the commit that was tested, and each box with what it was run under."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.progress import Progress
from bot.domain.subject import Subject
from runner.model import BoxId

_OPTION = {"bubblewrap": "full", "container": "full", "landlock": "auto", "off": "off"}
"""What asks the runner for the isolation that it reported."""


ABBREVIATED = 12
"""Characters of a commit that are written where a person reads it; git finds it by them in its own repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repro:
    """What a run was made under.

    Attributes:
        trust: `T0`, `T1` or `T2`; "" if it is not known.
        sandbox: the isolation that was used, as the runner names it.
        head_sha: the commit that was reported on.
        base_sha: where configuration and metadata came from; "" for the head itself.
        merges: whether the head was merged into that base first.
    """

    trust: str = ""
    sandbox: str = ""
    head_sha: str = ""
    base_sha: str = ""
    merges: bool = False

    @classmethod
    def of(cls, subject: Subject, progress: Progress) -> Repro:
        """From what was tested and what its runner told."""
        return cls(
            trust=progress.trust,
            sandbox=progress.sandbox,
            head_sha=subject.head_sha,
            base_sha=subject.base_sha if subject.base_sha != subject.head_sha else "",
            merges=subject.pr is not None,
        )

    def command(self, box: BoxId) -> str:
        """The words that run a box as it was run."""
        words = ["runner", "run", str(box)]
        if sandbox := _OPTION.get(self.sandbox):
            words += ["--sandbox", sandbox]
        if self.trust:
            words += ["--trust", self.trust]
        if self.base_sha:
            words += ["--base", self.base_sha[:ABBREVIATED]]
        return " ".join(words)

    @property
    def checkout(self) -> str:
        """Shell that makes a directory beside a clone in which the command above finds what was tested; "" if unknown.

        Nothing in the clone's own working tree is touched.
        """
        if not self.head_sha:
            return ""
        start = self.base_sha if self.merges else self.head_sha
        wanted = " ".join(dict.fromkeys((self.head_sha, self.base_sha or self.head_sha)))
        place = f"../tested-{self.head_sha[:7]}"
        lines = [f"git fetch --quiet origin {wanted}", f"git worktree add --quiet --detach {place} {start}"]
        lines.append(f"cd {place}")
        if self.merges:
            lines.append(f"git merge --quiet --no-commit --no-ff {self.head_sha}")
        return " &&\n".join(lines)


UNKNOWN = Repro()
