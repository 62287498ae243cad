"""What is given to run the bot on a server."""
