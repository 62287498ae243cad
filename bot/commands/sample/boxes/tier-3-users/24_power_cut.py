#!/usr/bin/env python3
# /// box
# title = "An answered request survives a power cut"
# min_asserts = 2
# [control]
# expect = "the link is still there"
# [control.edit]
# file = "shorty/store.py"
# find = "with closing(self._connect()) as db, db:\n            db.execute(\"INSERT"
# replace = "with closing(self._connect()) as db:\n            db.execute(\"INSERT"
# ///
from support import box
from support.server import running

with running() as shorty:
    link = shorty.shorten("https://example.com/kept").headers["Location"]
    shorty.process.kill()  # no goodbye.
    box.ok("it is dead", shorty.process.wait() < 0)
with running() as shorty:
    box.equal("the link is still there", shorty.get(link).status, 302)
