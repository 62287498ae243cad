"""What a stranger might send to `POST /webhooks`: signatures, bodies and raw requests, as tables. No box."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from typing import Any

from boxes._interlock import TMP, TREE, Delivery

SIGNATURE = "x-hub-signature-256"
PROOF = TMP / "executed"
"""Is made by whoever hands a stranger's text to a shell, to git or to a database as something to be carried out."""

EVIL = (
    f"$(touch {PROOF})",
    f"`touch {PROOF}`",
    f"'; ATTACH '{PROOF}' AS x; --",
    f"--upload-pack=touch {PROOF}",
    "../../../../etc/passwd",
    "octo/app/../../app/installations",
    "<script>alert(1)</script>{{7*7}}${7*7}%s%n",
    "\x00\x1b]0;x\x07\r\nX-Injected: 1",
    "\u202e\ud800",
    "x" * 20_000,
    "",
)
ODD = (None, True, -1, 0, 2**63, 10**300, 1.5, "1", [], [[]], {}, {"id": {}}, "main", float("nan"))
NOT_EVEN_OBJECTS = (
    *(b"", b"null", b"[]", b"17", b'"x"', b"{", b'{"action":', b"\xff\xfe{}", b"\x00" * 4096, b"payload=%7B%7D"),
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"action":"opened","action":["closed"]}',
    b'{"number":' + b"9" * 10_000 + b"}",
    b'{"x":"' + b"y" * 5_000_000 + b'"}',
)
EXAMPLES = TREE / "tests" / "bot" / "github" / "examples"
MUTATIONS = 1_000


def unsigned(good: Delivery) -> dict[str, Delivery]:
    """A delivery that would start a run, with each signature that must not let it in."""
    right = good.headers[SIGNATURE]
    others = {name: held for name, held in good.headers.items() if name != SIGNATURE}
    sha1 = hmac.new(b"guess", good.body, hashlib.sha1).hexdigest()
    values = {
        "empty": "",
        "only the prefix": "sha256=",
        "without its prefix": right.removeprefix("sha256="),
        "cut off": right[:-1],
        "too long": right + "0",
        "in capitals": right.upper(),
        "twice": f"{right}, {right}",
        "not ASCII": f"{right[:-1]}\u00e9",
        "by another secret": Delivery.signed("guess", "push", good.body, 1).headers[SIGNATURE],
        "by the empty secret": Delivery.signed("", "push", good.body, 1).headers[SIGNATURE],
        "of another body": Delivery.signed("guess", "push", b"", 1).headers[SIGNATURE],
        "an older algorithm": f"sha256={sha1}",
    }
    return {
        "missing": Delivery(others, good.body),
        "under the older name": Delivery({**others, "x-hub-signature": right}, good.body),
        "of a body that was changed": Delivery(good.headers, good.body + b" "),
        **{name: Delivery({**others, SIGNATURE: value}, good.body) for name, value in values.items()},
    }


def bodies(good: Delivery, seed: int) -> Iterator[tuple[str, bytes]]:
    """Hostile bodies, each with the event that it claims to be: nonsense, then GitHub's own examples with one lie.

    The examples are about the repository and the installation of `good`, so that what believes a lie gets far.
    """
    about = {name: json.loads(good.body)[name] for name in ("repository", "installation", "sender")}
    texts = {path.name.split(".")[0]: path.read_text() for path in sorted(EXAMPLES.glob("*.json"))}
    examples = {event: {**json.loads(text), **about} for event, text in texts.items()}
    for event in (*examples, "not_a_thing"):
        yield from ((event, body) for body in NOT_EVEN_OBJECTS)
    chance = random.Random(seed)
    for _ in range(MUTATIONS):
        event = chance.choice(list(examples))
        facts = copy.deepcopy(examples[event])
        _lie(facts, chance)
        yield event, json.dumps(facts).encode()


def _lie(facts: dict[str, Any], chance: random.Random) -> None:
    """Replace one member somewhere in a payload by something of another kind, or leave it out."""
    holder = facts
    while True:
        name = chance.choice(list(holder))
        inner = holder[name]
        if not (isinstance(inner, dict) and inner and chance.random() < 0.6):
            break
        holder = inner
    if chance.random() < 0.1:
        del holder[name]
    else:
        holder[name] = chance.choice((*ODD, *EVIL))


def requests(good: Delivery) -> dict[str, bytes]:
    """Raw requests that are wrong below the level of a delivery."""
    line = b"POST /webhooks HTTP/1.1\r\nHost: x\r\n"
    head = b"".join(f"{name}: {value}\r\n".encode() for name, value in good.headers.items())
    length = f"Content-Length: {len(good.body)}\r\n".encode()
    chunk = f"{len(good.body):x}\r\n".encode() + good.body + b"\r\n0\r\n\r\n"
    return {
        "nothing": b"\r\n\r\n",
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "a body longer than it says": line + head + b"Content-Length: 1\r\n\r\n" + good.body,
        "a body that never comes": line + head + length + b"\r\n",
        "a negative length": line + head + b"Content-Length: -1\r\n\r\n",
        "no number as length": line + head + b"Content-Length: 0x10\r\n\r\n",
        "a length beyond all": line + head + b"Content-Length: 99999999999999999999\r\n\r\n",
        "two lengths": line + head + b"Content-Length: 1\r\n" + length + b"\r\n" + good.body,
        "a length and chunks": line + head + length + b"Transfer-Encoding: chunked\r\n\r\n" + chunk,
        "chunks that are none": line + head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + good.body,
        "an endless header": line + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        "ten thousand headers": line + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        "a header with a line end": line + b"X-GitHub-Event: push\rX: y\r\n\r\n",
        "no such method": line.replace(b"POST", b"\x00PUT") + b"\r\n",
        "an absurd path": line.replace(b"/webhooks", b"//webhooks/../%00%ff") + b"\r\n",
    }
