"""The program of an HTTP box: makes its requests and writes what was found to $BOX_REPORT. Standard library only.

It holds nothing of the repository's: the steps come as JSON, checked before by `runner.http_steps`. `${NAME}` in a URL,
a header or a body is a variable of the box's environment. A request that is not answered is a failed assertion; only
what keeps the box from asking at all (a variable that is not set) makes it errored.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import sys
import time
from urllib.parse import quote, urljoin, urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Step = dict[str, Any]

ERRORED = 99
SKIPPED = 77
LARGEST_ANSWER = 16 << 20  # bytes that are read; the rest is not judged
MOST_REDIRECTS = 10
PATIENCE = 5.0  # seconds after `within` for the answer, which then is late but known
EXCERPT = 300  # characters of an answer in a message
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UNSENDABLE = re.compile(r"[^\x21-\x7e]")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
# Of one origin alone; they do not go along to another.
_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})


class NotAnswered(Exception):
    """A request got no answer. The text says why."""


class Answer:
    """What came back, and the seconds that it took."""

    def __init__(self, response: http.client.HTTPResponse, body: bytes, seconds: float) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self.body = body
        self.seconds = seconds
        self.text = body.decode(response.headers.get_content_charset("utf-8"), "replace")

    def __str__(self) -> str:
        """The beginning of its body, for a message."""
        said = " ".join(self.text.split())
        return f"{said[:EXCERPT]}…" if len(said) > EXCERPT else said or "an empty body"


class Report:
    """Assertions, on their way to the report and to whoever reads along."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.failed = 0

    def say(self, name: str, held: bool, message: str = "") -> None:
        """One assertion."""
        record: dict[str, object] = {"type": "assertion", "id": name, "ok": held}
        if not held:
            self.failed += 1
            record["message"] = message
        self._write(record)
        sys.stderr.write(f"ok {name}\n" if held else f"not ok {name} - {message}\n")

    def measure(self, name: str, seconds: float) -> None:
        """How long something took."""
        self._write({"type": "metric", "name": name, "value": round(seconds, 6), "unit": "s"})

    def _write(self, record: dict[str, object]) -> None:
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")


def main() -> int:
    """Make all requests in order; one that is not answered is the last."""
    orders = json.loads(sys.argv[1])
    if orders["may_skip"] and not os.environ.get("TARGET_URL") and "${TARGET_URL}" in sys.argv[1]:
        sys.stderr.write("skipped: TARGET_URL is not set, so there is nothing to ask\n")
        return SKIPPED
    report = Report(os.environ["BOX_REPORT"])
    # What is left of the timeout when all patience is over suffices to say so.
    deadline = time.monotonic() + max(orders["timeout"] - 2.0, orders["timeout"] / 2)
    steps = orders["steps"]
    for number, step in enumerate(steps, start=1):
        prefix = "" if len(steps) == 1 and not step["name"] else f"{step['name'] or number}: "
        if not run(step, prefix, report, deadline):
            break
    return 1 if report.failed else 0


def run(step: Step, prefix: str, report: Report, deadline: float) -> bool:
    """One request and its assertions. Returns whether it was answered."""
    request = {
        **step,
        "url": redirected_origin(filled(step["url"])),
        "headers": {name: filled(value) for name, value in step["headers"].items()},
        "body": filled_all(step["body"]),
    }
    patience = deadline - time.monotonic()
    if step["within"]:
        patience = min(patience, step["within"] + PATIENCE)
    sys.stderr.write(f"{step['method']} {request['url']}\n")
    try:
        answer = ask(request, max(patience, 0.1))
    except NotAnswered as why:
        report.say(f"{prefix}answers", False, f"{step['method']} {request['url']}: {why}")
        return False
    report.say(f"{prefix}answers", True)
    report.measure(f"{prefix}answered after", answer.seconds)
    judge(step, answer, prefix, report)
    return True


def judge(step: Step, answer: Answer, prefix: str, report: Report) -> None:
    """Every condition is an assertion, whatever became of the others."""
    wanted = " or ".join(step["status"])
    fits = any(re.fullmatch(pattern.replace("x", "[0-9]"), str(answer.status)) for pattern in step["status"])
    report.say(f"{prefix}status", fits, f"got {answer.status} {answer.reason}, want {wanted}; the body: {answer}")
    for name, condition in step["header"]:
        values = answer.headers.get_all(name)
        held = values is not None and any(meets(condition, value) for value in values)
        got = "no such header" if values is None else f"got {', '.join(values)!r}"
        report.say(f"{prefix}header {name.lower()}", held, f"{got}, want {worded(condition)}")
    for text in step["contains"]:
        report.say(f"{prefix}contains {text[:60]}", text in answer.text, f"{text!r} is not in the body: {answer}")
    for pattern in step["matches"]:
        held = re.search(pattern, answer.text) is not None
        report.say(f"{prefix}matches {pattern[:60]}", held, f"nothing in the body matches {pattern!r}: {answer}")
    if step["json"]:
        judge_json(step, answer, prefix, report)
    if step["within"]:
        late = f"the answer took {answer.seconds * 1000:.0f} ms, want at most {step['within'] * 1000:.0f} ms"
        report.say(f"{prefix}within", answer.seconds <= step["within"], late)


def judge_json(step: Step, answer: Answer, prefix: str, report: Report) -> None:
    """What must stand at paths of a JSON answer."""
    try:
        document = json.loads(answer.body)
        problem = ""
    except (ValueError, RecursionError) as error:
        document, problem = None, f"the body is no JSON ({error}): {answer}"
    for path, keys, condition in step["json"]:
        found, value = (False, None) if problem else look_up(document, keys)
        got = problem or (f"got {json.dumps(value)[:EXCERPT]}" if found else f"there is nothing: {answer}")
        held = found and meets(condition, value)
        report.say(f"{prefix}json {path}", held, f"{got}, want {worded(condition)}")


def look_up(document: Any, keys: list[str | int]) -> tuple[bool, Any]:
    """Whether there is something at a path, and what."""
    for key in keys:
        named = isinstance(document, dict) and isinstance(key, str) and key in document
        numbered = isinstance(document, list) and isinstance(key, int) and key < len(document)
        if not (named or numbered):
            return False, None
        document = document[key]
    return True, document


def meets(condition: dict[str, Any], value: object) -> bool:
    """Whether a value is what is wanted. True is not 1."""
    if "matches" in condition:
        text = value if isinstance(value, str) else json.dumps(value)
        return re.search(condition["matches"], text) is not None
    wanted = condition["is"]
    return wanted == value and isinstance(wanted, bool) == isinstance(value, bool)


def worded(condition: dict[str, Any]) -> str:
    """What is wanted, for a message."""
    if "matches" in condition:
        return f"a match of {condition['matches']!r}"
    return json.dumps(condition["is"])


def ask(request: Step, patience: float) -> Answer:
    """Send a request, follow where it leads if that is wanted, and take in the answer.

    Raises:
        NotAnswered: there is none within `patience` seconds.
    """
    began = time.monotonic()
    for _ in range(MOST_REDIRECTS + 1):
        left = began + patience - time.monotonic()
        if left <= 0:
            break
        answer = ask_once(request, left, began)
        place = answer.headers.get("location")
        if not request["follow"] or answer.status not in _REDIRECTS or not place:
            return answer
        request = following(request, answer.status, place)
    else:
        message = f"it was sent on more than {MOST_REDIRECTS} times"
        raise NotAnswered(message)
    raise NotAnswered(late(patience))


def ask_once(request: Step, patience: float, began: float) -> Answer:
    """One request on one connection; its answer's seconds count from `began`."""
    body, headers = encoded(request)
    try:
        url = urlsplit(request["url"])
        target = _UNSENDABLE.sub(
            lambda match: quote(match[0]), (url.path or "/") + (f"?{url.query}" if url.query else "")
        )
        connection, target = connect(url, target, patience, insecure=request["insecure"])
    except (ValueError, UnicodeError) as error:
        message = f"this is no URL: {error}"
        raise NotAnswered(message) from error
    ends = time.monotonic() + patience
    try:
        connection.request(request["method"], target, body=body, headers=headers)
        response = connection.getresponse()
        content = take_in(connection, response, ends)
        return Answer(response, content, time.monotonic() - began)
    except TimeoutError as error:
        raise NotAnswered(late(patience)) from error
    except ssl.SSLCertVerificationError as error:
        message = f"its certificate is not accepted: {error.verify_message}"
        raise NotAnswered(message) from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise NotAnswered(silence(error)) from error
    finally:
        connection.close()


def take_in(connection: http.client.HTTPConnection, response: http.client.HTTPResponse, ends: float) -> bytes:
    """The body, as far as it is judged. The time is that of the whole, not of each piece."""
    parts: list[bytes] = []
    size, announced = 0, response.length
    while size < LARGEST_ANSWER:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if connection.sock is not None:
            connection.sock.settimeout(left)
        part = response.read1(65536)
        if not part:
            if announced is not None and size < announced:
                raise http.client.IncompleteRead(b"".join(parts), announced - size)
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def silence(error: Exception) -> str:
    """Why there is no answer, for a message."""
    if isinstance(error, http.client.IncompleteRead):
        missing = f", {error.expected} bytes before its end" if error.expected else ""
        return f"its answer broke off{missing}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.HTTPException):
        return f"what came back is not HTTP: {type(error).__name__} {str(error)[:EXCERPT]!r}"
    if isinstance(error, ssl.SSLError) and error.reason in {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "RECORD_LAYER_FAILURE",
    }:
        return "what answers there does not speak TLS"
    said = getattr(error, "strerror", None)
    return said or str(error) or type(error).__name__


def connect(url: Any, target: str, patience: float, *, insecure: bool) -> tuple[http.client.HTTPConnection, str]:
    """A connection to a URL's host, through the box's proxy where it has one, and what to ask for on it.

    The way out of a sandbox is a tunnel whatever the port: what its proxy says itself must not pass for an answer.
    """
    if url.scheme not in {"http", "https"} or not url.hostname:
        message = "it must begin with http:// or https:// and a host"
        raise ValueError(message)
    port = url.port or (443 if url.scheme == "https" else 80)
    proxy = proxy_for(url.scheme, url.hostname, f"{url.scheme}://{url.netloc}")
    host, at = (proxy.hostname, proxy.port or 80) if proxy else (url.hostname, port)
    if url.scheme == "http":
        plain = http.client.HTTPConnection(host, at, timeout=patience)
        if proxy and port == 80 and not os.environ.get("BOX_EGRESS"):
            return plain, f"http://{url.netloc}{target}"
        if proxy:
            plain.set_tunnel(url.hostname, port)
        return plain, target
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    secured = http.client.HTTPSConnection(host, at, timeout=patience, context=context)
    if proxy:
        secured.set_tunnel(url.hostname, port)
    return secured, target


def proxy_for(scheme: str, host: str, origin: str = "") -> Any:
    """The proxy of the environment for a host, None where there is none or the host is excepted.

    Nothing is excepted from the way out of a sandbox: 127.0.0.1 means this machine's, and what stands in for a target
    is asked for by its own URL.
    """
    name = f"{scheme}_proxy"
    if origin and os.environ.get("BOX_TARGET_ORIGIN") and os.environ["TARGET_URL"].startswith(origin):
        return None
    if os.environ.get("BOX_EGRESS"):
        return urlsplit(os.environ["BOX_EGRESS"])
    value = os.environ.get(name) or os.environ.get(name.upper()) or ""
    excepted = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    for one in (part.strip().lower().lstrip(".") for part in excepted):
        if one == "*" or (one and (host.lower() == one or host.lower().endswith(f".{one}"))):
            return None
    return urlsplit(value if "://" in value else f"http://{value}") if value else None


def encoded(request: Step) -> tuple[bytes | None, dict[str, str]]:
    """The body as bytes, and the headers with what goes without saying."""
    headers = {"User-Agent": "interlock-box", "Accept": "*/*", **request["headers"]}
    body = request["body"]
    if body is None:
        return None, headers
    if isinstance(body, str):
        return body.encode(), headers
    named = {name.lower() for name in headers}
    return json.dumps(body).encode(), headers if "content-type" in named else {
        **headers,
        "Content-Type": "application/json",
    }


def following(request: Step, status: int, place: str) -> Step:
    """The request that a redirect asks for."""
    try:
        url = urljoin(request["url"], place)
        elsewhere = urlsplit(url)[:2] != urlsplit(request["url"])[:2]
    except ValueError as error:
        message = f"it was sent on to {place[:EXCERPT]!r}, which is no URL: {error}"
        raise NotAnswered(message) from error
    headers = request["headers"]
    if elsewhere:
        headers = {name: value for name, value in headers.items() if name.lower() not in _PRIVATE}
    changed = {**request, "url": url, "headers": headers}
    if status == 303 or (status in {301, 302} and request["method"] == "POST"):
        changed |= {"method": "GET" if request["method"] != "HEAD" else "HEAD", "body": None}
    return changed


def filled(text: str) -> str:
    """A text with its variables."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            give_up(f"{name} is not set (set it in `env` of the box or in defaults, or where the runner is started)")
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def filled_all(body: Any) -> Any:
    """A body with its variables, in each of its texts."""
    if isinstance(body, str):
        return filled(body)
    if isinstance(body, list):
        return [filled_all(item) for item in body]
    if isinstance(body, dict):
        return {key: filled_all(value) for key, value in body.items()}
    return body


def redirected_origin(url: str) -> str:
    """A URL as it is asked for when something stands in for its origin (see `runner.services.target`)."""
    origin = os.environ.get("BOX_TARGET_ORIGIN", "")
    try:
        here = "://".join(urlsplit(url)[:2])
    except ValueError:
        return url  # What asks for it says what is wrong with it.
    if origin and here == origin:
        return os.environ["TARGET_URL"].rstrip("/") + url[len(origin) :]
    return url


def late(patience: float) -> str:
    """That there is no answer, for a message."""
    return f"no answer in {patience:.1f} s"


def give_up(why: str) -> NoReturn:
    """End the box as errored."""
    sys.stderr.write(f"{why}\n")
    sys.exit(ERRORED)


if __name__ == "__main__":
    sys.exit(main())
