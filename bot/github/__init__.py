"""The only speaker of GitHub: calls, payloads and git."""
