"""Tests of the pages and endpoints."""
