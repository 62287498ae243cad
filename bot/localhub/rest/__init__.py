"""GitHub's REST API, one module per resource; each lists its endpoints in `ENDPOINTS`."""
