"""The subcommands of `runner`, one module each; imported when asked for."""
