"""Reads scenario files, checks them, and holds the built-in scenarios."""
