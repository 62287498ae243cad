"""The tests. A package all the way down, so that no test directory shadows a product package."""
