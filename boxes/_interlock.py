"""What our boxes share: this tree's product as processes on loopback, and verbs for what people do with it. No box.

Everything is started from the tree in which the box stands. While it is falsified that is the sabotaged copy, so an
installed Interlock must never answer in its place; every box that imports this module asserts that first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Self

import httpx

_spec = importlib.util.spec_from_file_location("box", os.environ["BOX_LIB_PY"])
assert _spec
assert _spec.loader
box = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(box)

TREE = Path.cwd()
TMP = Path(os.environ["BOX_TMP"])
REPO = "octo/app"
OVERALL = "Interlock"
PATIENCE = 40.0
"""Seconds that a process has to become ready, and a bot to come to rest; the box's own timeout is longer."""

# BOX_TMP is how the runner knows whose a stray process is; PYTHONPYCACHEPREFIX tells it which modules were imported.
_KEPT = ("PATH", "BOX_TMP", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
ENVIRON = {
    **{name: os.environ[name] for name in _KEPT if name in os.environ},
    "PYTHONPATH": str(TREE),
    "HOME": str(TMP),
    "TMPDIR": str(TMP),
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


def run(*command: str, cwd: Path = TMP) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with nothing of the caller's environment."""
    return subprocess.run(command, cwd=cwd, env=ENVIRON, capture_output=True, text=True, check=False)


def interlock(*arguments: str) -> list[str]:
    """The command line of this tree's `interlock`."""
    return [sys.executable, "-m", "bot.cli", *arguments]


def runner(*arguments: str) -> list[str]:
    """The command line of this tree's `runner`."""
    return [sys.executable, "-m", "runner", *arguments]


def events(record: Path) -> list[dict[str, Any]]:
    """The events of a run's record, in order; the first line is the schema's."""
    return [json.loads(line) for line in record.read_text().splitlines()[1:]]


def write(directory: Path, files: Mapping[str, str]) -> Path:
    """Write files below a directory; those that begin with `#!` can be executed."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    return directory


def until(holds: Callable[[], bool], *, within: float = PATIENCE) -> bool:
    """Wait until something holds; False when it does not come."""
    pause = threading.Event()
    end = monotonic() + within
    while not holds():
        if monotonic() > end:
            return False
        pause.wait(0.05)
    return True


class Process:
    """A process, mostly of this tree's `interlock`, ended with the `with` statement that it was made in."""

    def __init__(self, name: str) -> None:
        self.log = TMP / f"{name}.log"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.communicate()
        box.attach(str(self.log))

    def spawn(self, *arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return self.execute(interlock(*arguments), settings)

    def execute(self, command: list[str], settings: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                env={**ENVIRON, **(settings or {})},
                cwd=TMP,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self._process

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    @property
    def rss(self) -> int:
        """Bytes of memory that the process holds at this moment."""
        [line] = [line for line in self._proc("status").splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    @property
    def cpu(self) -> float:
        """Seconds of CPU that the process has used since it was started, its children's left out."""
        user, system = self._proc("stat").rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _proc(self, name: str) -> str:
        assert self._process
        return Path("/proc", str(self._process.pid), name).read_text()


class GitHub(Process):
    """`interlock localhub` with one repository.

    Args:
        files: of its default branch.
        webhooks: where they go.
        team: who works there, and with which permission; mona may write.
        forks: who has a fork of it.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        *,
        webhooks: str,
        team: Mapping[str, str] | None = None,
        forks: Iterable[str] = (),
    ) -> None:
        super().__init__("localhub")
        write(TMP / "seed" / "app", files)
        repository = {
            "name": REPO,
            "from": "./app",
            "collaborators": {"mona": "write", **(team or {})},
            "forks": [*forks],
        }
        seed = TMP / "seed" / "seed.yml"
        seed.write_text(json.dumps({"users": ["mona"], "repositories": [repository]}))  # JSON is YAML.
        self._arguments = ("--state", str(TMP / "github"), "--seed", str(seed), "--webhook-url", webhooks)
        self.start()

    def start(self) -> None:
        """Start it, or start it again where it was."""
        port = ("--port", str(httpx.URL(self.ready["url"]).port)) if hasattr(self, "ready") else ()
        hub = self.spawn("localhub", *self._arguments, *port)
        assert hub.stdout
        self.ready: dict[str, Any] = json.loads(hub.stdout.readline())
        self.token = self.ready["users"]["mona"]
        self._http = httpx.Client(base_url=self.ready["url"], trust_env=False)

    def call(self, method: str, path: str, *, by: str = "mona", repo: str = REPO, **body: Any) -> Any:
        """One call of the REST API, below the repository; its answer."""
        answer = self._http.request(method, f"/repos/{repo}{path}", json=body or None, headers=self._whose(by))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _whose(self, login: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.ready['users'][login]}"}

    def propose(self, branch: str, *, by: str = "mona", repo: str = REPO) -> dict[str, Any]:
        """Push a branch with a file of its name, and open a pull request of it, which is returned."""
        main = self.call("GET", "/git/ref/heads/main", by=by, repo=repo)["object"]["sha"]
        self.call("POST", "/git/refs", by=by, repo=repo, ref=f"refs/heads/{branch}", sha=main)
        self.push(branch, by=by, repo=repo, branch=branch)
        head = branch if repo == REPO else f"{by}:{branch}"
        made: dict[str, Any] = self.call("POST", "/pulls", by=by, head=head, base="main", title=f"Add {branch}")
        return made

    def say(self, number: int, body: str, *, by: str = "mona") -> dict[str, Any]:
        """Comment on a pull request; the comment."""
        made: dict[str, Any] = self.call("POST", f"/issues/{number}/comments", by=by, body=body)
        return made

    def enqueue(self, number: int) -> str:
        """Put a pull request into the merge queue, as mona; the SHA of what it proposes."""
        wish = {"repository": REPO, "number": number, "by": "mona"}
        answer = self._http.post("/_hub/merge-queue", json=wish).raise_for_status()
        return str(answer.json()["head_sha"])

    def press(self, check: int, identifier: str) -> None:
        """Press a button of a check run, as mona."""
        wish = {"identifier": identifier, "by": "mona"}
        self._http.post(f"/_hub/check-runs/{check}/requested_action", json=wish).raise_for_status()

    def spoil(self, method: str, path: str, **how: Any) -> None:
        """Order trouble for calls of ours."""
        self._http.post("/_hub/faults", json={"method": method, "path": path, **how}).raise_for_status()

    def settle(self) -> None:
        """Wait until every webhook has been sent."""
        self._http.post("/_hub/settle").raise_for_status()

    def checks(self, sha: str) -> dict[str, dict[str, Any]]:
        """The check runs of a commit by name."""
        return {row["name"]: row for row in self.call("GET", f"/commits/{sha}/check-runs")["check_runs"]}

    def push(self, path: str, *, by: str = "mona", repo: str = REPO, branch: str = "main") -> str:
        """Add a file to a branch; the commit's SHA."""
        return self.write(path, "anything", by=by, repo=repo, branch=branch)

    def write(self, path: str, text: str, *, by: str = "mona", repo: str = REPO, branch: str = "main") -> str:
        """Commit a file to a branch, in place of what is there; the commit's SHA."""
        wish = {"message": f"Add {path}", "content": base64.b64encode(text.encode()).decode(), "branch": branch}
        there = self._http.get(f"/repos/{repo}/contents/{path}", params={"ref": branch}, headers=self._whose(by))
        if there.is_success:
            wish["sha"] = there.json()["sha"]
        return str(self.call("PUT", f"/contents/{path}", by=by, repo=repo, **wish)["commit"]["sha"])

    def change(self, files: Mapping[str, str], branch: str) -> dict[str, Any]:
        """Push a branch with some files on top of what main is now, and open a pull request of it."""
        main = self.call("GET", "/git/ref/heads/main")["object"]["sha"]
        self.call("POST", "/git/refs", ref=f"refs/heads/{branch}", sha=main)
        for path, text in files.items():
            self.write(path, text, branch=branch)
        made: dict[str, Any] = self.call("POST", "/pulls", head=branch, base="main", title=f"Change {branch}")
        return made

    def merge(self, number: int) -> str:
        """Merge a pull request; the SHA that its base has then."""
        return str(self.call("PUT", f"/pulls/{number}/merge")["sha"])

    def deployments(self, environment: str) -> list[dict[str, Any]]:
        """The deployments to an environment, newest first; `said` has their states and descriptions, oldest first."""
        found = self.call("GET", f"/deployments?environment={environment}")
        for one in found:
            told = self.call("GET", f"/deployments/{one['id']}/statuses")
            one["said"] = [(row["state"], row["description"]) for row in reversed(told)]
        return list(found)


class Bot(Process):
    """`interlock serve` on a port and a data directory that outlive a restart."""

    def __init__(self) -> None:
        super().__init__("bot")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.data_dir = TMP / "bot"
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)

    @property
    def webhooks(self) -> str:
        """Where it takes deliveries."""
        return f"http://127.0.0.1:{self.port}/webhooks"

    def start(self, github: GitHub, **settings: str) -> None:
        """Start it, or start it again, and wait until it is ready."""
        told = {
            "DATA_DIR": str(self.data_dir),
            "GITHUB_API_URL": github.ready["url"],
            "GITHUB_APP_ID": str(github.ready["app_id"]),
            "GITHUB_PRIVATE_KEY_FILE": github.ready["private_key_file"],
            "WEBHOOK_SECRET": github.ready["webhook_secret"],
            "DRAIN_SECONDS": "0",
            **settings,
        }
        self.spawn(
            "serve", "--port", str(self.port), settings={f"INTERLOCK_{name}": value for name, value in told.items()}
        )
        assert until(self._is_ready), self.log.read_text()

    def deliver(self, delivery: Delivery) -> int:
        """Send it a webhook as it was signed; the status of its answer."""
        return self._http.post("/webhooks", headers=delivery.headers, content=delivery.body).status_code

    def settle(self) -> None:
        """Wait until nothing that it took in is left to do."""
        # A deployment is watched for a while, and other boxes run beside this one.
        assert until(self.is_idle, within=2 * PATIENCE), "the bot does not come to rest"

    def is_idle(self) -> bool:
        """Whether nothing that it took in is left to do."""
        return not self._parts()["database"]["open_deliveries"] and self.has_come_to_rest()

    def has_come_to_rest(self) -> bool:
        """Whether nothing is under way; what it took in and forgot does not count."""
        parts = self._parts()
        return not parts["database"]["open_runs"] + parts["flows"]["unfinished"]

    def runs(self) -> list[dict[str, Any]]:
        """Its runs, newest first."""
        runs: list[dict[str, Any]] = self._http.get("/api/v1/runs").json()["runs"]
        return runs

    def audit(self) -> list[dict[str, Any]]:
        """Who asked for what and what was decided, newest first."""
        entries: list[dict[str, Any]] = self._http.get("/api/v1/audit").json()["entries"]
        return entries

    def deployments(self) -> list[dict[str, Any]]:
        """What was asked to go where, newest first, as the bot tells whoever sits at its machine."""
        deployments: list[dict[str, Any]] = self._http.get("/api/v1/deployments").json()["deployments"]
        return deployments

    def page(self, path: str) -> str:
        """A page as a browser at the machine gets it."""
        answer = self._http.get(path)
        answer.raise_for_status()
        return answer.text

    def _parts(self) -> Any:
        return self._http.get("/health/detailed").json()["parts"]

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False


class Delivery(NamedTuple):
    """A webhook as GitHub sent and signed it."""

    headers: dict[str, str]
    body: bytes

    @classmethod
    def signed(cls, secret: str, event: str, body: bytes, number: int) -> Delivery:
        """A webhook that nobody sent, with the signature that GitHub would give it; `number` makes its id."""
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": f"00000000-0000-0000-0000-{number:012d}",
            "x-hub-signature-256": f"sha256={signature}",
        }
        return cls(headers, body)


def traffic(secret: str, numbers: Iterable[int]) -> Iterable[Delivery]:
    """Webhooks of every kind that ask for nothing, and, one in a hundred, one whose flow finds nothing to do."""
    about = {
        "repository": {"id": 1, "full_name": REPO, "name": "app", "default_branch": "main", "owner": {"login": "octo"}},
        "installation": {"id": 1},
        "sender": {"login": "mona", "type": "User"},
    }
    commits = [{"id": "a" * 40, "message": "x" * 200, "modified": ["src/app.py"]}] * 8
    idle: list[tuple[str, dict[str, Any]]] = [
        ("push", {"ref": "refs/heads/topic", "after": "a" * 40, "deleted": False, "commits": commits}),
        ("status", {"sha": "a" * 40, "state": "success", "description": "x" * 1000}),
        ("issue_comment", {"action": "created", "issue": {"number": 1}, "comment": {"id": 1, "body": "x" * 3000}}),
        ("check_run", {"action": "created", "check_run": {"head_sha": "a" * 40, "name": "x", "app": {"id": 1}}}),
    ]
    for number in numbers:
        event, facts = idle[number % len(idle)]
        if number % 100 == 0:
            event, facts = "pull_request", {"action": "closed", "number": 1, "pull_request": {"number": 1}}
        yield Delivery.signed(secret, event, json.dumps({**about, **facts, "nth": number}).encode(), number)


def flood(port: int, deliveries: Iterable[Delivery]) -> list[int]:
    """Send many as fast as they are answered, over a few connections that stay open; the statuses, in any order."""
    left = iter(deliveries)
    taking = threading.Lock()

    def send(_: int) -> list[int]:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        statuses = []
        while True:
            with taking:
                delivery = next(left, None)
            if delivery is None:
                line.close()
                return statuses
            line.request("POST", "/webhooks", delivery.body, delivery.headers)
            with line.getresponse() as answer:
                answer.read()
                statuses.append(answer.status)

    with ThreadPoolExecutor(4) as senders:
        return [status for statuses in senders.map(send, range(4)) for status in statuses]


class Mailbox:
    """Takes GitHub's webhooks in the bot's place, so that a box decides when each arrives, and how often.

    Attributes:
        to: each is passed on at once to whom this is; None keeps them.
        loses: while true nothing arrives, and GitHub is told so.
    """

    def __init__(self) -> None:
        self.to: Callable[[Delivery], int] | None = None
        self.loses = False
        self._taken: list[Delivery] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Mailbox:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, delivery: Delivery) -> int:
        """Take one; the status with which GitHub is answered."""
        if self.loses:
            return 502
        self._taken.append(delivery)
        return self.to(delivery) if self.to else 202

    def of(self, event: str, action: str | None = None) -> list[Delivery]:
        """The deliveries of an event, oldest first."""
        return [
            delivery
            for delivery in self._taken
            if delivery.headers["x-github-event"] == event and json.loads(delivery.body).get("action") == action
        ]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                sent = {name.lower(): value for name, value in self.headers.items()}
                kept = {name: value for name, value in sent.items() if name.startswith(("x-", "content-type"))}
                self.send_response(mailbox.take(Delivery(kept, body)))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def _assert_origin() -> None:
    said = run(sys.executable, "-c", "import bot, runner; print(bot.__file__, runner.__file__, sep='\\n')")
    ours = [str(TREE / name / "__init__.py") for name in ("bot", "runner")]
    box.equal("this-tree-is-started", said.stdout.splitlines(), ours)


_assert_origin()
