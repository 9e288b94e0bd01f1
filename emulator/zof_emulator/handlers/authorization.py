"""The canonical form of the `Authorization` header, in which keys are looked up and shown."""

from __future__ import annotations


def normalize_bearer(authorization: bytes) -> bytes:
    """The header as `Bearer SECRET`, independent of the case of its scheme (RFC 9110); empty for another scheme."""
    scheme, _, secret = authorization.partition(b" ")
    return b"Bearer " + secret.strip() if scheme.lower() == b"bearer" else b""
