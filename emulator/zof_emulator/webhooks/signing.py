"""Signing: what a receiver verifies (`/docs/api/webhooks`): HMAC-SHA256 over the raw body, in lower-case hex."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

HEADER: Final = "X-Zof-Signature"


def sign(secret: str, body: bytes) -> str:
    """The signature of a body under a secret, whose UTF-8 bytes are the key."""
    return hmac.new(secret.encode(), body, sha256).hexdigest()
