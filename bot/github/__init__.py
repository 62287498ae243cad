"""The only speaker of GitHub: its REST API, its payloads, and git."""
