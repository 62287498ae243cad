"""The tests of Interlock; every name is a claim."""
