"""One verification: preflight, probes, generated requests, clean-up and receipt."""
