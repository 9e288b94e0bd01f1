"""What a user opens with another program: results turned into bytes; pure, the same bytes on every machine."""
