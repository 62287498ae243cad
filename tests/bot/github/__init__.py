"""Tests of everything that speaks to GitHub."""
