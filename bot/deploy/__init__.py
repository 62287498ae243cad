"""Putting releases where users are: targets, routers, probes, and the controller that drives them."""
