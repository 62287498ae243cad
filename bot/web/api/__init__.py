"""REST below `/api/v1`, a module for each noun. Runs are in `bot.web.pages`, beside their pages."""
