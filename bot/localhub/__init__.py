"""A GitHub on loopback: for the demo, for tests and for boxes. It shares no line with the bot."""
