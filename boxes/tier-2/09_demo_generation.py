# /// box
# title = "Demo Generation: the demo plays every step that it promises, and says so"
# timeout = "240s"
# tags = ["slow"]
#
# [control]
# expect = "every-promised-step-happened"
#
# [control.edit]
# file = "bot/commands/demo_story.py"
# find = "sha = await stage.checkout.begin()"
# replace = "raise DidNotHappen('the repository could not be pushed')"
# ///
import json

from boxes._interlock import TMP, box, interlock, run

PROMISED = ["stand_in", "bot", "repository", "live", "bug", "fix", "proof", "crash"]
PROMISED += ["merge", "switch", "bad_release", "clear"]

demo = run(*interlock("demo", "--json"))
(TMP / "demo.json").write_text(demo.stdout)
box.attach(str(TMP / "demo.json"), "What the demo saw")
told = json.loads(demo.stdout)

box.equal("it-exits-0", demo.returncode, 0)
box.ok("the-document-is-ok", told["ok"], demo.stdout[-2000:])
box.equal("every-promised-step-happened", [step["name"] for step in told["steps"] if step["ok"]], PROMISED)
without = [step["name"] for step in told["steps"] if not step["evidence"]]
box.equal("every-step-has-its-evidence", without, [])
seen = {step["name"]: step["evidence"] for step in told["steps"]}
box.equal("nothing-is-left-out", [name for name, evidence in seen.items() if "left_out" in evidence], [])
box.equal("the-switch-loses-nothing", seen.get("switch", {}).get("lost"), 0)
box.ok("it-shows-the-comment", told["comment"], "the document has no comment")
box.metric("demo", told["seconds"], "s")
