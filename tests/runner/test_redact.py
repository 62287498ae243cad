"""What is taken out of what boxes write, and that no way of cutting a stream lets anything through."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.errors import UserError
from runner.redact import Redactor
from runner.secret_kinds import KINDS

VALUE = 'tr0ub4dor&3/ünïcode + "quoted" <s3cret>'
BODY = "\n".join(f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDline{number:04}" for number in range(20))

# An App's token as GitHub makes them since 2026: the App's number and a JWT, about 520 characters in all.
INSTALLATION = f"1234567_eyJ{'hbGciOi-JSUzI1_' * 4}.eyJ{'pc3MiOiIx' * 12}.{'Ab-9_' * 68}"

# Spelled in two parts, since scanners for leaked tokens read tests as well.
SAMPLES = [
    ("github-token", "ghp_", "a1B2" * 9),
    ("github-token", "ghs_", "a1B2" * 9),
    ("github-token", "ghs_", INSTALLATION),
    ("github-token", "github_pat_", "11ABCDEFG0" + "x" * 40),
    ("gitlab-token", "glpat-", "x1y2z3" * 4),
    ("aws-key-id", "AKIA", "IOSFODNN7EXAMPLE".replace("8", "7")),
    ("aws-secret-key", 'aws_secret_access_key = "', "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("google-key", "AIza", "SyA1234567890abcdefghijklmnopqrstuv"),
    ("google-client-secret", "GOCSPX-", "abcdefghijklmnopqrstuvwxyz12"),
    ("slack-token", "xoxb-", "123456789012-abcdefABCDEF"),
    ("slack-webhook", "hooks.slack.com/services/", "T00000000/B00000000/XXXXXXXXXXXXXXXX"),
    ("stripe-key", "sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("npm-token", "npm_", "a1B2" * 9),
    ("pypi-token", "pypi-AgE", "IcHlwaS5vcmc" * 6),
    ("openai-key", "sk-proj-", "abcdefghijklmnopqrstuvwxyz"),
    ("anthropic-key", "sk-ant-", "api03-abcdefghijklmnopqrstuv"),
    ("huggingface-token", "hf_", "abcdefghijklmnopqrstuvwxyzabcdefgh"),
    ("docker-token", "dckr_pat_", "abcdefghijklmnopqrstuvwxyz1"),
    ("digitalocean-token", "dop_v1_", "0123456789abcdef" * 4),
    ("vault-token", "hvs.", "abcdefghijklmnopqrstuvwxyz"),
    ("age-key", "AGE-SECRET-KEY-1", "Q" * 58),
    ("azure-storage-key", "AccountKey=", "a" * 86 + "=="),
    ("sendgrid-key", "SG.", "a" * 22 + "." + "b" * 43),
    ("jwt", "eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    ("private-key", "-----BEGIN RSA PRIVATE KEY-----\n", f"{BODY}\nQUJD\n-----END RSA PRIVATE KEY-----"),
    ("private-key", "-----BEGIN PRIVATE KEY-----\\n", BODY.replace("\n", "\\n") + "\\n-----END PRIVATE KEY-----"),
    ("authorization", "Authorization: Bearer ", "abcdef0123456789"),
    ("password", "postgres://app:", "s3cr3t"),
]


@pytest.mark.parametrize(("kind", "opening", "rest"), [pytest.param(*sample, id=sample[0]) for sample in SAMPLES])
def test_what_looks_like_a_secret_is_taken_out(kind: str, opening: str, rest: str) -> None:
    tail = "@db/app" if kind == "password" else '" and more'
    redacted = Redactor().text(f"before {opening}{rest}{tail}")
    assert redacted.startswith("before ")
    assert redacted.endswith(f"[secret {kind}]{tail}")
    assert rest not in redacted


def test_every_kind_has_a_sample() -> None:
    assert {kind.id for kind in KINDS} == {sample[0] for sample in SAMPLES}


@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_a_long_token_of_an_app_is_taken_out_whole_however_a_stream_is_cut(size: int) -> None:
    assert 500 < len(f"ghs_{INSTALLATION}") < 540
    whole = (
        f"remote: https://x-access-token:ghs_{INSTALLATION}@github.com/o/r and ghs_{INSTALLATION}. Then more".encode()
    )
    stream = Redactor().stream()
    told = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.flush()
    assert told.endswith(b"@github.com/o/r and [secret github-token]. Then more")
    assert not any(part.encode() in told for part in INSTALLATION.split("."))


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org:8080/path?x=1",
        "postgres://localhost/app and mona@example.org",
        "the header -----BEGIN PRIVATE KEY----- was missing",
        "ghp_ is how they begin",
        "Authorization: none",
        "data:font/woff;base64,AAAA/eyJ0",
        "npm_config_registry=x hf_hub sk-1",
    ],
)
def test_what_only_resembles_a_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(lambda value: value, id="as-it-is"),
        pytest.param(json.dumps, id="json"),
        pytest.param(lambda value: json.dumps(value, ensure_ascii=False), id="json-utf-8"),
        pytest.param(urllib.parse.quote, id="url-path"),
        pytest.param(lambda value: urllib.parse.quote(value, safe=""), id="url"),
        pytest.param(urllib.parse.quote_plus, id="form"),
        pytest.param(html.escape, id="html"),
        pytest.param(lambda value: value.encode().hex(), id="hex"),
        pytest.param(lambda value: value.encode().hex().upper(), id="upper-hex"),
        *(
            pytest.param(
                lambda value, before=before, encode=encode: encode(before + value.encode() + b"tail").decode(),
                id=f"{encode.__name__}-behind-{len(before)}",
            )
            for before in (b"", b"u", b"us", b"use")
            for encode in (base64.b64encode, base64.urlsafe_b64encode)
        ),
    ],
)
def test_a_declared_value_is_found_in_every_spelling(spell) -> None:  # type: ignore[no-untyped-def]
    spelled = spell(VALUE)
    redacted = Redactor({"KEY": VALUE}).text(f"[{spelled}]")
    assert "[secret KEY]" in redacted
    # Of base64, the letters that the value shares with its neighbours may stay: a few at each end.
    assert not any(spelled[at : at + 12] in redacted for at in range(len(spelled) - 12))


def test_a_value_of_several_lines_is_found_line_by_line() -> None:
    value = "-----BEGIN THING-----\nfirst-line-of-it\r\nsecond-line-of-it\nno\n-----END THING-----"
    shown = Redactor({"KEY": value}).text("| second-line-of-it\n| first-line-of-it\n| no\n| -----BEGIN THING-----")
    assert shown == "| [secret KEY]\n| [secret KEY]\n| no\n| -----BEGIN THING-----"


@pytest.mark.parametrize("value", ["", "abc", "éa", "     ", "x" * 70_000])
def test_a_value_that_cannot_be_looked_for_is_refused_with_the_reason(value: str) -> None:
    with pytest.raises(UserError, match=r"the secret PIN (has|is blank)"):
        Redactor({"PIN": value})


def test_a_value_that_is_in_a_mark_itself_is_marked_otherwise() -> None:
    assert Redactor({"WORD": "secret"}).text("a secret word") == "a *** word"


def test_of_two_values_the_longer_is_taken_out_whole() -> None:
    assert Redactor({"A": "abcd", "B": "abcdefgh"}).text("abcdefgh abcd") == "[secret B] [secret A]"


def test_with_the_same_length_nothing_moves() -> None:
    stream = Redactor({"A": "abcdef"}).stream(same_length=True)
    data = b'{"a":"abcdef","b":"https://u:pw@h"}'
    assert stream.feed(data) + stream.flush() == b'{"a":"******","b":"https://u:**@h"}'


VALUES = {"A": "abab", "B": "ababc", "C": "line one here\nline two here", "D": "bcdbcd"}
PIECES = st.sampled_from(
    [
        *(b"ghs_", b"1_eyJa", b"ab", b"aba", b"c", b"line one here", b"\n", b"line two", b" here", b"bcd", b" "),
        *(b"https://", b"user:", b"pw@", b"host", b"eyJ", b"eyJaaaaaaaaaa", b".", b"a" * 20, b"ghp_", b"A1" * 18),
        *(b"-----BEGIN ", b"-----BEGIN PRIVATE KEY-----", b"MIIEvQIBADANBgkqhkiG", b"-----END PRIVATE KEY-----"),
        *(b"Authorization: Bearer ", b"AKIA", b"Q" * 16, b"\xff", b"\\n", b"-"),
    ]
)


@given(st.lists(PIECES, max_size=30).map(b"".join), st.data())
@example(b"ababc", None)
def test_what_is_taken_out_does_not_depend_on_how_the_stream_is_cut(whole: bytes, data: st.DataObject | None) -> None:
    redactor = Redactor(VALUES)
    places = st.lists(st.integers(0, len(whole)), max_size=12)
    cuts = [0, *sorted(data.draw(places) if data else [2, 4]), len(whole)]
    stream = redactor.stream()
    told = b"".join([stream.feed(whole[start:end]) for start, end in pairwise(cuts)]) + stream.flush()
    assert told == redactor.data(whole)
    assert not any(value.encode() in told for value in VALUES.values())


@given(st.lists(PIECES, max_size=30).map(b"".join))
@example(b"Authorization: Bearer pw@line one here")
@example(b"Authorization: Bearer pw@pw@pw@pw@line one here")
def test_byte_by_byte_is_the_same_as_at_once_and_twice_the_same_as_once(whole: bytes) -> None:
    redactor = Redactor(VALUES)
    stream = redactor.stream()
    told = b"".join([stream.feed(whole[at : at + 1]) for at in range(len(whole))]) + stream.flush()
    assert told == redactor.data(whole)
    assert redactor.data(told) == told


@given(st.lists(PIECES, max_size=30).map(b"".join), st.integers(1, 50))
def test_of_the_same_length_is_of_the_same_length(whole: bytes, size: int) -> None:
    stream = Redactor(VALUES).stream(same_length=True)
    told = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.flush()
    assert len(told) == len(whole)


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(b"-----BEGIN PRIVATE KEY-----" + b"MIIEvQIBADANBgkqhkiG\n" * 40_000, id="an-endless-key"),
        pytest.param(b"eyJ" + b"a" * 800_000, id="an-endless-token"),
        pytest.param(b"ghs_" + b"a.-_" * 200_000, id="an-endless-token-of-an-app"),
        pytest.param(b"://user:" + b"p" * 800_000, id="an-endless-password"),
    ],
)
def test_no_more_is_held_back_than_a_secret_is_long(noise: bytes) -> None:
    redactor = Redactor()
    stream = redactor.stream()
    told = 0
    for at in range(0, len(noise), 65536):
        told += len(stream.feed(noise[at : at + 65536]))
    longest = max(kind.longest for kind in KINDS)
    assert len(stream.flush()) <= longest < 64 * 1024


def test_an_ordinary_line_is_not_held_back() -> None:
    stream = Redactor({"KEY": "tr0ub4dor"}).stream()
    assert stream.feed(b"compiling 12 of 40 ...") == b"compiling 12 of 40 ..."
    assert stream.feed(b"see https://example.org/a\n") == b"see https://example.org/a\n"
    assert stream.feed(b"the key is tr0u") == b"the key is "
    assert stream.feed(b"ble\n") == b"tr0uble\n"


def test_the_patterns_of_what_is_not_there_are_not_compiled() -> None:
    redactor = Redactor()
    assert redactor.patterns(b"nothing to see here, move on") is None
