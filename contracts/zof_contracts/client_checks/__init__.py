"""Judges of a client: what the requests of a recording show about the rules for clients. They send nothing."""
