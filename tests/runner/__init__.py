"""Tests of the box runner."""
