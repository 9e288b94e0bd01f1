"""The target: where to knock, and what carries a request there."""
