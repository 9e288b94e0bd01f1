"""Masking: secrets in headers, queries and bodies are replaced by text that tells equal secrets from different ones.

A header that says who asks keeps its scheme. Any other secret becomes text of the same length, so that a request with a
masked secret is as valid as the original one. What is masked already stays as it is.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_plus

from zof_emulator.handlers.authorization import canonical_bearer

_SECRET_NAME: Final = re.compile(
    r"auth|token|secret|passw|passphrase|credential|cookie|session|signature|bearer|(?:^|[-_])(?:pwd|pin|otp)(?:$|[-_])"
    r"|(?:^key|(?:api|app|access|private|client|license|zof)[-_]?key)$",
    re.IGNORECASE,
)
_SCHEMES: Final = frozenset({b"bearer", b"basic", b"digest", b"token"})
"""The first words of a header that are no secret."""
_KEY: Final = re.compile(rb"Bearer ([\w-]{4})[\w.-]{5,}([\w-]{4})", re.ASCII)
_MASKED: Final = re.compile(r"\*{1,7}|masked-(?:[0-9a-f]{1,12}|[0-9a-f]{12}\*+)")
_WORD: Final = "masked-"
_DIGITS: Final = 12
_STRING: Final = r'"(?:[^"\\]|\\.)*"?'
_FIELD: Final = re.compile(rf"({_STRING})(?:(\s*:\s*)({_STRING}|-?[0-9][0-9.eE+-]*)?)?", re.DOTALL)
"""A string, and the text or number whose name it is, if it is a name; every character is read once."""


def is_secret_name(name: str) -> bool:
    """Whether a header, a parameter or a field with this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def mask_header(secret: bytes) -> str:
    """What may be shown of a header that says who asks: its scheme, the ends of a long key, and its `digest`."""
    if not secret.strip():
        return secret.decode("latin-1")
    scheme, _, rest = secret.partition(b" ")
    word = f"{scheme.decode()} " if scheme.lower() in _SCHEMES and rest else ""
    key = _KEY.fullmatch(canonical_bearer(secret))
    ends = f"{key[1].decode()}...{key[2].decode()}" if key else "..."
    return f"{word}{ends} ({digest(secret)})"


def digest(secret: bytes) -> str:
    """The beginning of the SHA-256 of a header that says who asks, whatever the case of its scheme."""
    return sha256(canonical_bearer(secret) or secret).hexdigest()[:_DIGITS]


def mask_text(secret: str) -> str:
    """A secret as text of the same length."""
    if not secret or is_masked(secret):
        return secret
    length = len(secret)
    if length <= len(_WORD):
        return "*" * length
    found = _WORD + sha256(secret.encode(errors="replace")).hexdigest()[:_DIGITS]
    return found[:length].ljust(length, "*")


def is_masked(text: str) -> bool:
    """Whether a text is what `mask_text` makes."""
    return _MASKED.fullmatch(text) is not None


def has_mask(text: str) -> bool:
    """Whether a body holds a text that `mask_text` made."""
    return _WORD in text or "***" in text


def mask_query(query: str) -> str:
    """A query string with the values of its secret parameters masked."""
    return "&".join(map(_mask_pair, query.split("&")))


def mask_body(text: str) -> str:
    """A JSON text, or its beginning, with the texts and numbers of its secret fields masked; a form's fields too."""
    if text.lstrip()[:1] in {"{", "["}:
        return _FIELD.sub(_mask_field, text)
    return mask_query(text) if "=" in text else text


def _mask_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={mask_text(value)}" if equals and is_secret_name(unquote_plus(name)) else pair


def _mask_field(match: re.Match[str]) -> str:
    name, colon, value = match[1], match[2], match[3]
    if not value or not is_secret_name(_read(name)):
        return match[0]
    if not value.startswith('"'):
        return f"{name}{colon}0"
    end = '"' if len(value) > 1 and value.endswith('"') else ""
    return f'{name}{colon}"{mask_text(_read(value))}{end}'


def _read(string: str) -> str:
    """The text that a JSON string says; what stands in it when it is cut."""
    try:
        found = json.loads(string, strict=False)
    except ValueError:
        return string[1:].removesuffix('"')
    return str(found)
