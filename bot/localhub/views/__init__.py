"""Records as GitHub's JSON: the shapes that responses and webhooks share."""
