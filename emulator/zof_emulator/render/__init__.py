"""Renders results as files that other programs open. It is pure and makes the same bytes on every machine."""
