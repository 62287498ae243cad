"""Attacks that a box may try, a stand-in for what they are aimed at, and the arena where both meet."""
