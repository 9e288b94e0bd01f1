"""The target: its address and keys, and the client and transport that carry requests to it."""
