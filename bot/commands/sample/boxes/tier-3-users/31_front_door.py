#!/usr/bin/env python3
# /// box
# title = "Whoever comes in finds the page, and can shorten an address"
# tags = ["smoke"]
# min_asserts = 3
# [control]
# edit = {file = "shorty/web.py", find = '<button>Shorten</button>', replace = ""}
# expect = "the page has its form"
# ///
# A smoke test as well: with $TARGET_URL it asks the shorty that runs there, without it one of its own.
from support import box
from support.server import there

with there() as shorty:
    box.equal("it is well", shorty.get("/health").status, 200)
    box.contains("the page has its form", shorty.get("/").text, "<button>Shorten</button>")
    box.equal("an address is shortened", shorty.shorten("https://example.com/front-door").status, 201)
