#!/usr/bin/env python3
# /// box
# title = "What visitors write stays text"
# min_asserts = 2
# [control]
# edit = {file = "shorty/web.py", find = "{escape(url)}", replace = "{url}"}
# expect = "a tag does not become one"
# ///
from support import box
from support.server import running

with running() as shorty:
    shorty.shorten("https://example.com/<script>alert(1)</script>")
    text = shorty.get("/").text
    box.ok("a tag does not become one", "<script>" not in text, "the page holds a visitor's script")
    box.contains("it is shown as it was written", text, "&lt;script&gt;")
