"""The journal: stores the newest exchanges, shows and compares them, and exports them."""
