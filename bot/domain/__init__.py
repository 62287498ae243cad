"""Pure decisions: facts in, an answer out. No I/O, no clock, no GitHub."""
