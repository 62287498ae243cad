"""Interlock's tests."""
