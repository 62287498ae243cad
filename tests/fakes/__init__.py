"""The fakes: second implementations of a role, good enough to ship."""
