"""The Interlock GitHub App: webhooks in, check runs and one comment out."""
