"""What secrets look like that nobody declared: tokens and keys whose makers gave them a form of their own. A table.

Every kind begins with a literal, its needle, so that text without any needle is passed over at the speed of `in`. Every
kind is bounded, so that a stream can be read in pieces with bounded memory. No pattern can take longer than its input:
runs are possessive, and a needle that may occur within its own run may not begin there.
"""

from __future__ import annotations

import re

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_ALNUM = "[A-Za-z0-9]"
_WORD = "[A-Za-z0-9_-]"


class Kind(Value):
    """One kind of secret.

    Args:
        id: what it is called where it was taken out.
        needle: the bytes that it begins with.
        rest: a regular expression for what follows. A group `secret` in it is taken out instead of the whole.
        partial: a regular expression that matches every beginning of what follows, and may match more than that.
        longest: bytes of the longest one.
        hint: bytes that are in the needle, and in those of similar kinds; "" is the needle itself.
        alone: it does not begin in the middle of a word.
    """

    __slots__ = ("alone", "hint", "id", "longest", "needle", "partial", "rest")

    id: str
    hint: bytes
    needle: bytes
    rest: str
    partial: str
    longest: int
    alone: bool

    def __init__(
        self,
        id: str,  # noqa: A002 - as Box.
        needle: str,
        rest: str,
        *,
        partial: str,
        longest: int,
        hint: str = "",
        alone: bool = False,
    ) -> None:
        self.id = id
        self.needle = needle.encode()
        self.hint = hint.encode() or self.needle
        self.rest = rest
        self.partial = partial
        self.longest = longest
        self.alone = alone

    def pattern(self) -> str:
        """What it looks like when it is complete."""
        return f"{_NOT_IN_A_WORD if self.alone else ''}{_literal(self.needle)}{self.rest}"

    def beginning(self) -> str:
        """What it looks like when the input ends too early to say."""
        return f"{_NOT_IN_A_WORD if self.alone else ''}{_literal(self.needle)}{self.partial}"


_NOT_IN_A_WORD = "(?<![A-Za-z0-9_-])"


def _literal(needle: bytes) -> str:
    return re.escape(needle.decode())


def _run(
    id: str,  # noqa: A002 - as Box.
    needles: Sequence[str],
    letters: str,
    *counts: int,
    hint: str = "",
) -> list[Kind]:
    """A literal and a run of at least `counts[0]` and at most `counts[1]` letters behind it."""
    least, most = counts
    return [
        Kind(
            id,
            needle,
            f"{letters}{{{least},{most}}}+",
            partial=f"{letters}{{0,{most}}}+",
            longest=len(needle) + most,
            hint=hint,
        )
        for needle in needles
    ]


# The lines of a key: as they are, or written into JSON, YAML, a shell, a log with a prefix of a few characters.
_GAP = r"""(?:[ \t\r\n"',#|>+]|\\[nrt]){0,12}+"""
_LINE = "[A-Za-z0-9+/=]{16,128}+"
_MOST_LINES = 200
_END = "-----END [A-Z0-9 ]{0,40}+-----"
_KEY = f"(?:{_GAP}{_LINE}){{1,{_MOST_LINES}}}+(?:{_GAP}[A-Za-z0-9+/=]{{0,15}}+{_GAP}{_END})?+"
_KEY_LONGEST = _MOST_LINES * (24 + 128) + 128
_KEY_PARTIAL = rf"""[-A-Za-z0-9+/= \t\r\n"',#|>\\]{{0,{_KEY_LONGEST}}}+"""
_KEY_NAMES = ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ")


def _private_keys() -> list[Kind]:
    return [
        Kind(
            "private-key",
            f"-----BEGIN {name}PRIVATE KEY-----",
            _KEY,
            partial=_KEY_PARTIAL,
            longest=_KEY_LONGEST + 64,
            hint="-----BEGIN ",
        )
        for name in _KEY_NAMES
    ]


def _authorization() -> list[Kind]:
    said = r"""["']?:[ \t]{0,4}+["']?(?:[Bb]asic|[Bb]earer|[Tt]oken)[ \t]{1,4}+(?P<secret>[^\s"',;\[]{8,1024}+)(?!\[)"""
    so_far = r"""["'A-Za-z: \t]{0,24}+[^\s"',;\[]{0,1024}+"""  # what `[secret …]` took the place of is no part of it.
    return [
        Kind("authorization", name, said, partial=so_far, longest=1100, hint="uthorization")
        for name in ("Authorization", "authorization")
    ]


def _installation_token() -> Kind:
    """GitHub's tokens for Apps: `ghs_` and a run of letters, or since 2026 the App's number and a JWT of any length.

    About 520 characters today, and nobody promised that: what is bounded here is only what a stream may hold back.
    """
    most = 4096
    return Kind(
        "github-token",
        "ghs_",
        # A dot belongs to it only where it goes on: one that ends a sentence stays. No group is possessive: Python
        # 3.11.2 forgets to go back from one whose last turn failed.
        rf"(?=[A-Za-z0-9_.-]{{36}}){_WORD}{{1,{most}}}+(?:\.{_WORD}{{1,{most}}}+){{0,7}}",
        partial=rf"[A-Za-z0-9_.-]{{0,{most + 1}}}+",
        longest=len("ghs_") + most + 1,
    )


def _aws_secrets() -> list[Kind]:
    said = r"""["' \t]{0,4}+[=:][ \t"']{0,4}+(?P<secret>[A-Za-z0-9/+]{40})"""
    so_far = r"""["' \t=:A-Za-z0-9/+]{0,60}+"""
    names = ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey")
    return [Kind("aws-secret-key", name, said, partial=so_far, longest=90) for name in names]


KINDS: tuple[Kind, ...] = (
    *_private_keys(),
    *_run("github-token", ("ghp_", "gho_", "ghu_", "ghr_"), _ALNUM, 36, 251),
    _installation_token(),
    *_run("github-token", ("github_pat_",), "[A-Za-z0-9_]", 22, 250),
    *_run("gitlab-token", ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"), _WORD, 20, 300),
    *_run("aws-key-id", ("AKIA", "ASIA"), "[A-Z2-7]", 16, 16),
    *_aws_secrets(),
    *_run("google-key", ("AIza",), _WORD, 35, 35),
    *_run("google-client-secret", ("GOCSPX-",), _WORD, 28, 28),
    *_run("slack-token", tuple(f"xox{kind}-" for kind in "abeoprs"), "[A-Za-z0-9-]", 10, 250, hint="xox"),
    *_run("slack-token", ("xapp-",), "[A-Za-z0-9-]", 10, 250),
    *_run("slack-webhook", ("hooks.slack.com/services/",), "[A-Za-z0-9/]", 20, 100),
    *_run("stripe-key", ("sk_live_", "rk_live_"), _ALNUM, 16, 250, hint="k_live_"),
    *_run("stripe-key", ("sk_test_", "rk_test_"), _ALNUM, 16, 250, hint="k_test_"),
    *_run("stripe-key", ("whsec_",), _ALNUM, 16, 250),
    *_run("npm-token", ("npm_",), _ALNUM, 36, 36),
    *_run("pypi-token", ("pypi-AgE",), _WORD, 50, 1000),
    *_run("openai-key", ("sk-proj-", "sk-svcacct-", "sk-admin-"), _WORD, 20, 300, hint="sk-"),
    *_run("anthropic-key", ("sk-ant-",), _WORD, 20, 300, hint="sk-"),
    *_run("huggingface-token", ("hf_",), "[A-Za-z]", 34, 34),
    *_run("docker-token", ("dckr_pat_",), _WORD, 27, 27),
    *_run("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), "[a-f0-9]", 64, 64, hint="_v1_"),
    *_run("vault-token", ("hvs.", "hvb."), _WORD, 24, 300),
    *_run("age-key", ("AGE-SECRET-KEY-1",), "[0-9A-Z]", 58, 58),
    *_run("azure-storage-key", ("AccountKey=",), "[A-Za-z0-9+/=]", 86, 88),
    Kind(
        "sendgrid-key",
        "SG.",
        rf"{_WORD}{{22}}\.{_WORD}{{43}}",
        partial=rf"{_WORD}{{0,22}}+(?:\.{_WORD}{{0,43}}+)?",
        longest=69,
        alone=True,
    ),
    Kind(
        "jwt",
        "eyJ",
        rf"{_WORD}{{8,2048}}+\.eyJ{_WORD}{{8,4096}}+\.{_WORD}{{16,1024}}+",
        partial=rf"{_WORD}{{0,2048}}+(?:\.{_WORD}{{0,4099}}+(?:\.{_WORD}{{0,1024}}+)?)?",
        longest=7200,
        alone=True,
    ),
    *_authorization(),
    Kind(
        "password",
        "://",
        r"""[^\s:/@"'<>]{0,128}+:(?P<secret>[^\s/@"'<>]{1,256}+)@""",
        partial=r"""[^\s:/@"'<>]{0,128}+(?::[^\s/@"'<>]{0,256}+@?)?""",
        longest=400,
    ),
)
