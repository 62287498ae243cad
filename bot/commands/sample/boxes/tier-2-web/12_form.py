#!/usr/bin/env python3
# /// box
# title = "The form makes a link"
# min_asserts = 3
# [control]
# edit = {file = "shorty/web.py", find = "self._answer(201,", replace = "self._answer(200,"}
# expect = "it says that a link was made"
# ///
from support import box
from support.server import running

with running() as shorty:
    box.contains("there is a form", shorty.get("/").text, 'action="/links"')
    answer = shorty.shorten("https://example.com/a?b=c")
    box.equal("it says that a link was made", answer.status, 201)
    box.contains("the page shows it", shorty.get("/").text, "https://example.com/a?b=c")
