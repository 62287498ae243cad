"""Tests of the speaker of GitHub."""
