"""Cut GitHub's example webhooks down to the events that Interlock takes.

    npm pack @octokit/webhooks-examples@7.6.1
    python tools/cut_examples.py octokit-webhooks-examples-7.6.1.tgz

writes `webhooks.json.gz` into `tests/bot/github/examples/`: a list of `{"event", "payload"}` in the package's order,
every payload unchanged. The same package always gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

from bot.domain.webhook_events import EVENTS  # noqa: E402 - from this tree, installed or not.

OUT = HERE / "tests" / "bot" / "github" / "examples" / "webhooks.json.gz"


def main(package: str) -> None:
    """Read the package and write the file."""
    with tarfile.open(package) as archive:
        found = archive.extractfile("package/api.github.com/index.json")
        assert found is not None, "the package has another layout"
        listed = json.load(found)
    kept = [
        {"event": each["name"], "payload": payload}
        for each in listed
        if each["name"] in EVENTS
        for payload in each["examples"]
    ]
    OUT.write_bytes(gzip.compress(json.dumps(kept, separators=(",", ":")).encode(), 9, mtime=0))
    print(f"{len(kept)} examples of {len({each['event'] for each in kept})} events, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
