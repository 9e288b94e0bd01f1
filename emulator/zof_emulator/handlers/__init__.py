"""The handlers: words of the wire to words of the core and back, one function an operation."""
