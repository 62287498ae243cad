"""Running the bot: settings, logs, time."""
