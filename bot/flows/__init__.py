"""Durable flows that tie the adapters together."""
