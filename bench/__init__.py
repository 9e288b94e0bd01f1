"""How fast and how big the emulator is, beside the floor and its peers; all of it measured, none of it asserted."""
