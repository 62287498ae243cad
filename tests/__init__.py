"""Tests of Interlock."""
