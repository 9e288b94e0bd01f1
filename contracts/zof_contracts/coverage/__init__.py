"""Coverage: which parts of the contract recorded traffic reaches, and which it never does."""
