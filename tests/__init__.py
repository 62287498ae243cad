"""Tests of Interlock; a package all the way down."""
