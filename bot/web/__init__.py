"""HTTP in: webhooks, health, pages."""
