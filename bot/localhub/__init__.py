"""A GitHub on loopback for the demo, tests and boxes. Shares no line with the rest of the bot."""
