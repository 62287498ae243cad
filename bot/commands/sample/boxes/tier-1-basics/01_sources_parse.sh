#!/bin/sh
# /// box
# title = "Every source file parses"
# min_asserts = 4
# [control]
# edit = {file = "shorty/codes.py", find = "def encode(number: int) -> str:", replace = "def encode(number: int) -> str"}
# expect = "shorty/codes.py parses"
# ///
. "$BOX_LIB"

for file in shorty/*.py; do
    ok "$file parses" python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file"
done
