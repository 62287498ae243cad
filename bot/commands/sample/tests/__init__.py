"""Unit tests of shorty."""
