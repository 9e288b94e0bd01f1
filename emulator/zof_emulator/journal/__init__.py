"""The journal: the ring of exchanges, how one is shown and found, and how it is exported."""
