#!/usr/bin/env python3
# /// box
# title = "Addresses that are none are refused"
# min_asserts = 5
# [control]
# edit = {file = "shorty/web.py", find = '{"http", "https"}', replace = '{"http", "https", "javascript"}'}
# expect = "a script is refused"
# ///
from support import box
from support.server import running

BAD = {
    "a script is refused": ("javascript:alert(1)", 400),
    "nothing is refused": ("", 400),
    "a bare word is refused": ("example", 400),
    "a file is refused": ("file:///etc/passwd", 400),
    "a novel is refused": ("https://example.com/" + "x" * 9000, 413),
}

with running() as shorty:
    for name, (address, status) in BAD.items():
        box.equal(name, shorty.shorten(address).status, status)
