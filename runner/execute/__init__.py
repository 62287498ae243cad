"""How boxes are run: processes, their environment, their output, and their end."""
