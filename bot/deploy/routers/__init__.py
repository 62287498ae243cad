"""Routers: what stands between users and the slots, and divides the requests."""
