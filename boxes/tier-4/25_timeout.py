# /// box
# title = "Timeout: a hung box is ended at its deadline with all that it started"
# timeout = "40s"
#
# [control]
# expect = "the-verdict-is-timed-out"
#
# [control.edit]
# file = "runner/execute/live.py"
# find = "self.timeout_at = self.began + job.box.timeout"
# replace = "self.timeout_at = self.began + 100 * job.box.timeout"
# ///
from pathlib import Path

from boxes._interlock import TMP, box, events, run, runner, write

# It would end by itself, and well, long after its deadline. It ignores polite signals, and so do those that it starts:
# one in a session of its own, one whose parent is gone as well. All of them hold its standard output.
HUNG = f"""\
#!/bin/sh
# /// box
# timeout = "2s"
# ///
trap '' HUP INT TERM
hang='echo $$ >>"{TMP}/pids"; sleep 10; echo $$ >>"{TMP}/woke"'
setsid sh -c "$hang" &
(setsid sh -c "$hang" &)
sh -c "$hang"
"""


def lines(name: str) -> list[str]:
    path = TMP / name
    return path.read_text().split() if path.exists() else []


def is_alive(pid: str) -> bool:
    """Whether it still runs; one that has ended and was not reaped holds nothing any more."""
    try:
        return ") Z" not in Path("/proc", pid, "stat").read_text()
    except OSError:
        return False


repository = write(TMP / "repository", {"boxes/tier-1/1_hung.sh": HUNG})
ended = run(*runner("-C", str(repository), "run", "--jsonl", str(TMP / "record")))

[finished] = [event for event in events(TMP / "record") if event["type"] == "box_finished"]
box.equal("all-three-hung", len(lines("pids")), 3)
box.equal("the-verdict-is-timed-out", finished["verdict"], "timed_out")
box.equal("the-run-is-red", ended.returncode, 1)
box.equal("nobody-came-to-a-natural-end", lines("woke"), [])
box.equal("nothing-is-left-running", [pid for pid in lines("pids") if is_alive(pid)], [])
box.metric("until the end", finished["seconds"], "s")
