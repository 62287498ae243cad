"""Decisions about deployments: facts in, answers out."""
