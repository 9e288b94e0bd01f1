"""The signature of a webhook request (`/docs/api/webhooks`): HMAC-SHA256 of the raw body, in lower-case hex."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

HEADER: Final = "X-Zof-Signature"


def sign(secret: str, body: bytes) -> str:
    """The signature of a body; the UTF-8 bytes of the secret are the key."""
    return hmac.new(secret.encode(), body, sha256).hexdigest()
