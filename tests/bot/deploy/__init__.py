"""Tests of what puts releases where users are."""
