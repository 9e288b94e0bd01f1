"""One verification, from the preflight to the receipt."""
