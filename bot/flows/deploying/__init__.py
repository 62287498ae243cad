"""Deployments as durable flows: from a wish through its gates to its end, and what people are told of it."""
