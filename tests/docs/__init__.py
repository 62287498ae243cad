"""Tests of the documentation: what it shows runs, where it points exists, what it describes is all there is."""
