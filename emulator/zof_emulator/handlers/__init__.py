"""The handlers: one function for each operation, which translates between the API and the core."""
