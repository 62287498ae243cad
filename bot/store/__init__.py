"""The bot's own tables. The engine keeps its rows elsewhere."""
