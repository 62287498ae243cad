"""Isolation: each rung of the ladder, its limits, and the attacks that it must stop."""
