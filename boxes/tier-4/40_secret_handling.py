# /// box
# title = "Secret Handling: what a box tells of a secret is in no log, report, artifact, check, comment or page"
# timeout = "90s"
#
# [control]
# expect = "no-file-of-a-run-has-it"
#
# [control.edit]
# file = "runner/redact.py"
# find = "if not forms and not kinds:"
# replace = "if True:"
# ///
import base64
import json
from pathlib import Path

from boxes._interlock import OVERALL, TMP, Bot, GitHub, box, run, runner, write

DECLARED = "correct-horse/battery+staple"
# Nobody declared it. Spelled in two parts here and in the repository, where nothing can be found that was not told.
TOKEN = "gh" + "p_" + "S3cr" * 9

# Tells a secret in every way that a box has, the first two times in pieces.
TELLS = """\
#!/usr/bin/env python3
# /// box
# secrets = ["DECLARED"]
# ///
import json, os, sys

for secret in filter(None, (os.environ.get("DECLARED"), "gh" + "p_" + "S3cr" * 9)):
    for stream in (sys.stdout, sys.stderr):
        for letter in f"it is {secret}.\\n":
            stream.write(letter)
            stream.flush()
    print(f"not ok 1 - {secret}")
    with open(os.environ["BOX_REPORT"], "a") as report:
        said = {"type": "assertion", "id": f"told {secret}", "ok": False, "message": f"{secret} {secret}"}
        print(json.dumps(said), file=report)
        print(json.dumps({"type": "metric", "name": secret, "value": 1}), file=report)
    with open(os.environ["BOX_JUNIT"], "w") as junit:
        junit.write(f'<testsuite><testcase name="{secret}"><failure message="{secret}"/></testcase></testsuite>')
    with open(os.path.join(os.environ["BOX_ARTIFACTS"], "told-" + secret.replace("/", "_")), "a") as artifact:
        artifact.write(f"{secret}\\n")
sys.exit(1)
"""
FILES = {"boxes/tier-1/1_tells.py": TELLS}


def spelled(secret: str) -> list[bytes]:
    """The secret as it is, and in base64 as far as that does not depend on what stands beside it."""
    return [secret.encode(), base64.b64encode(secret.encode())[:-4]]


def having(places: dict[str, bytes]) -> list[str]:
    """The places in which one of the secrets is to be found."""
    wanted = [*spelled(DECLARED), *spelled(TOKEN)]
    return [name for name, content in places.items() if any(secret in content for secret in wanted)]


def files(directory: Path) -> dict[str, bytes]:
    """All files below a directory, their names being part of what they tell."""
    found = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path): str(path).encode() + b"\n" + path.read_bytes() for path in found}


repository = write(TMP / "repository", FILES)
(TMP / "secrets").write_text(f"DECLARED={DECLARED}\n")
(TMP / "secrets").chmod(0o600)
(TMP / "left").mkdir()
told = run(
    *runner("-C", str(repository), "run", "--secrets", str(TMP / "secrets"), "--logs", str(TMP / "left" / "logs")),
    *("--jsonl", str(TMP / "left" / "record"), "--junit", str(TMP / "left" / "junit.xml")),
)
left = {**files(TMP / "left"), "what people read": (told.stdout + told.stderr).encode()}
log = left.get(str(TMP / "left" / "logs" / "1.1.log"), b"").decode()

box.equal("no-file-of-a-run-has-it", having(left), [])
box.equal("both-outputs-were-kept", log.count("it is [secret DECLARED].\n"), 2)
box.equal("a-token-that-nobody-declared-is-known", log.count("it is [secret github-token].\n"), 2)
box.equal("the-run-is-red", told.returncode, 1)

bot = Bot()
with GitHub(FILES, webhooks=bot.webhooks) as github, bot:
    bot.start(github)
    sha = github.push("anything")
    github.settle()
    bot.settle()
    checks = github.checks(sha)
    number = bot.runs()[0]["number"]
    pages = {path: bot.page(path) for path in (f"/runs/{number}", f"/runs/{number}/logs/1.1.log", "/")}
    api = {path: bot.page(path) for path in (f"/api/v1/runs/{number}", "/api/v1/runs")}
    annotations = github.call("GET", f"/check-runs/{checks['Interlock / tier 1']['id']}/annotations")

box.equal("the-push-is-red", checks[OVERALL]["conclusion"], "failure")
box.contains("the-log-is-shown", pages[f"/runs/{number}/logs/1.1.log"], "it is [secret github-token].")
heard = {"checks": json.dumps(checks), "annotations": json.dumps(annotations), **pages, **api}
box.equal("neither-github-nor-a-page-has-it", having({name: text.encode() for name, text in heard.items()}), [])
box.equal("the-bot-keeps-nothing-of-it", having(files(bot.data_dir)), [])
