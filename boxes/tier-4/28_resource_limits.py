# /// box
# title = "Resource Limits: a fork bomb, a memory hog and a disk filler are stopped, and their neighbour is not"
# timeout = "90s"
#
# [control]
# expect = "the-disk-filler-is-stopped"
#
# [control.edit]
# file = "runner/sandbox/workspace.py"
# find = "namespace.tmpfs(desk.directory, size=size,"
# replace = "namespace.tmpfs(desk.directory, size=size << 10,"
# ///
from boxes._interlock import TMP, box, events, run, runner, write

CONFIGURATION = """\
limits: {memory: 64MiB, processes: 60, workspace: 16MiB, tmp: 8MiB}
"""
# Each takes far more than it may, but not without end: without its limit it would come to a good one. What memory and
# disk it got it holds for a while, so that all of it is held at once.
HOGS = {
    "fork-bomb": """\
n=0
while [ $n -lt 400 ]; do sleep 30 & n=$((n + 1)); done
""",
    "memory-hog": """\
head -c 300000000 /dev/zero | tail -c 300000000 | { sleep 3; wc -c; } >size
test "$(cat size)" -eq 300000000
""",
    # In files that are small one by one: a limit of the size of a file does not notice.
    "disk-filler": """\
trap 'sleep 3' EXIT
for n in $(seq 20); do head -c 2000000 /dev/zero >filler-$n; done
""",
    "tmp-filler": """\
trap 'sleep 3' EXIT
for n in $(seq 20); do head -c 2000000 /dev/zero >/tmp/filler-$n; done
""",
}
# Well within each limit, for as long as the others are at it; it finds nothing of theirs.
NEIGHBOUR = """\
#!/bin/sh
set -e
for round in $(seq 20); do
    for n in $(seq 10); do sleep 0.2 & done
    head -c 1000000 /dev/zero | tail -c 1000000 >mine
    cp mine /tmp/mine
    wait
done
test -z "$(find . /tmp -name 'filler-*')"
"""

repository = write(
    TMP / "repository",
    {
        ".github/interlock.yml": CONFIGURATION,
        "boxes/tier-1/1_neighbour.sh": NEIGHBOUR,
        **{
            f"boxes/tier-1/{number}_{name}.sh": f"#!/bin/sh\nset -e\n{script}echo got everything\n"
            for number, (name, script) in enumerate(HOGS.items(), 2)
        },
    },
)
logs = TMP / "logs"
options = ("--sandbox", "full", "--jobs", "5", "--jsonl", str(TMP / "record"), "--logs", str(logs))
ended = run(*runner("-C", str(repository), "run", *options))
box.equal("the-run-is-red", (ended.returncode, ended.stderr), (1, ""))

finished = {event["box"]: event for event in events(TMP / "record") if event["type"] == "box_finished"}
fork_bomb, memory_hog, disk_filler, tmp_filler = (finished[number] for number in (2, 3, 4, 5))
RED = {"failed", "errored"}


def stopped(event: dict[str, object]) -> bool:
    return event["verdict"] in RED and "got everything" not in str(event["output"])


box.ok("the-fork-bomb-is-stopped", stopped(fork_bomb), str(fork_bomb))
box.ok("the-memory-hog-is-stopped", stopped(memory_hog), str(memory_hog))
box.ok("the-disk-filler-is-stopped", stopped(disk_filler), str(disk_filler))
box.ok("the-tmp-filler-is-stopped", stopped(tmp_filler), str(tmp_filler))
box.equal("the-neighbour-is-green", finished[1]["verdict"], "passed")
