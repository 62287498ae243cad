# /// box
# title = "CPU Efficiency: a bot at rest leaves the CPU alone, and a delivery costs it a small multiple of an echo"
# timeout = "120s"
#
# [control]
# expect = "at-rest-it-leaves-the-cpu-alone"
#
# [control.edit]
# file = "bot/flows/dispatch.py"
# find = "self._every(timedelta(seconds=SWEEP_EVERY), self.sweep)"
# replace = "self._scheduler.add_job(self.sweep, 'interval', seconds=0.001, max_instances=1, coalesce=True)"
# ///
import socket
import sys
import threading
from itertools import count, islice
from time import monotonic

from boxes._interlock import Bot, GitHub, Process, box, flood, traffic, until

DELIVERIES = 2_000
REST = 6.0
SHARE = 0.05
"""Of one CPU, that a bot with nothing to do may use."""
TIMES = 8
"""As much CPU as an echo of the same bytes under the same server a delivery may cost, signature, disk and decision."""
ECHO = """
import sys, uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse

async def echo(scope, receive, send):
    body = await Request(scope, receive).body()
    await JSONResponse({"bytes": len(body)}, status_code=202)(scope, receive, send)

uvicorn.run(echo, port=int(sys.argv[1]), lifespan="off", log_config=None, access_log=False)
"""
numbers = count()


class Echo(Process):
    """A server that answers deliveries with their size: what the machine, Python and HTTP cost by themselves."""

    def __init__(self) -> None:
        super().__init__("echo")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.execute([sys.executable, "-c", ECHO, str(self.port)])
        assert until(self._listens), self.log.read_text()

    def settle(self) -> None:
        """Nothing is left to do when it has answered."""

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def cost(process: Bot | Echo) -> tuple[float, set[int]]:
    """Seconds of CPU that a delivery costs a process, once it is warm; the statuses of its answers."""
    statuses = set(flood(process.port, traffic(secret, islice(numbers, DELIVERIES // 4))))
    process.settle()
    used = process.cpu
    statuses |= set(flood(process.port, traffic(secret, islice(numbers, DELIVERIES))))
    process.settle()
    return (process.cpu - used) / DELIVERIES, statuses


with Bot() as bot, GitHub({"README.md": "nothing to run\n"}, webhooks=bot.webhooks) as github:
    bot.start(github)
    secret = github.ready["webhook_secret"]
    a_delivery, statuses = cost(bot)
    used, began = bot.cpu, monotonic()
    threading.Event().wait(REST)
    share = (bot.cpu - used) / (monotonic() - began)
with Echo() as echo:
    an_echo, _ = cost(echo)

box.equal("every-delivery-is-taken-in", statuses, {202})
box.ok("at-rest-it-leaves-the-cpu-alone", share < SHARE, f"it uses {share:.1%} of a CPU, at most {SHARE:.0%} may be")
box.ok("a-delivery-costs-a-few-echoes", a_delivery < TIMES * an_echo, f"{a_delivery:.6f} s against {an_echo:.6f} s")
box.metric("at rest", share * 100, "% of a CPU")
box.metric("a delivery", a_delivery * 1000, "ms of CPU")
box.metric("against an echo", a_delivery / an_echo, "times")
