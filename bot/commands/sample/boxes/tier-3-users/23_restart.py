#!/usr/bin/env python3
# /// box
# title = "Links survive a restart"
# min_asserts = 2
# [control]
# env = {SHORTY_DB = ":memory:"}
# expect = "the link is still there"
# ///
import os

from support import box
from support.server import running

db = os.environ.get("SHORTY_DB", f"{os.environ['BOX_TMP']}/links.db")

with running(db) as shorty:
    link = shorty.shorten("https://example.com/kept").headers["Location"]
    box.equal("it works at first", shorty.get(link).status, 302)
with running(db) as shorty:
    box.equal("the link is still there", shorty.get(link).status, 302)
