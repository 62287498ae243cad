"""Commands of the `interlock` program that are more than a call."""
