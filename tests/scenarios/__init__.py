"""Stories that a user would tell."""
