"""Readers of the event stream: each turns a run into something that a person or another tool reads."""
