"""The contract: what is promised, as read from `openapi.yaml` and `rules.yaml`."""
