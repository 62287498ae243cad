"""What the verbs of `bot.domain.commands` do: one file for each, told apart and tied together by `obey`."""
