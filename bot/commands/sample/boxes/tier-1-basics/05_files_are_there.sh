#!/bin/sh
# /// box
# title = "Every file that a page names is there"
# min_asserts = 1
# [control]
# run = "rm shorty/static/style.css"
# expect = "style.css is there"
# ///
. "$BOX_LIB"

for name in $(grep -o '/static/[a-z.]*' shorty/web.py | sort -u); do
    [ "$name" = /static/ ] || ok "${name#/static/} is there" test -s "shorty$name"
done
