"""Masking: secrets in headers, queries and bodies are replaced by text that tells equal secrets from different ones.

A header that says who asks keeps its scheme. Any other secret becomes text of the same length, so that a request with a
masked secret is as valid as the original one. What is masked already stays as it is. Below a field with a secret name
all texts and numbers are masked, and of a URL, wherever it stands, the user information and the secret parameters.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_plus

from zof_emulator.handlers.authorization import normalize_bearer

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRET_NAME: Final = re.compile(
    r"auth|token|secret|passw|passphrase|credential|cookie|session|signature|bearer|(?:^|[-_])(?:pwd|pin|otp)(?:$|[-_])"
    r"|(?:^key|(?:api|app|access|private|client|license|zof)[-_]?key)$",
    re.IGNORECASE,
)
_WORDS: Final = (
    *("auth", "token", "secret", "passw", "passphrase", "credential", "cookie", "session", "signature", "bearer"),
    *("pwd", "pin", "otp", "key"),
)
"""Every secret name contains one of these."""
_SCHEMES: Final = frozenset({b"bearer", b"basic", b"digest", b"token"})
"""The first words of a header that are no secret."""
_KEY: Final = re.compile(rb"Bearer ([\w-]{4})[\w.-]{5,}([\w-]{4})", re.ASCII)
_MASKED: Final = re.compile(r"\*{1,7}|masked-(?:[0-9a-f]{1,12}|[0-9a-f]{12}\*+)")
_WORD: Final = "masked-"
_DIGITS: Final = 12
_STRING: Final = r'"(?:[^"\\]|\\.)*"?'
_TOKEN: Final = re.compile(rf"({_STRING})(\s*:)?|(-?[0-9][0-9.eE+-]*)|[\[\]{{}}]|true|false|null", re.DOTALL)
"""A token of JSON: a string, with the colon if it is a name, or a number; every character is read once."""
_USER: Final = re.compile(r"(?<=://)([^/?#\s]+)@")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")


def is_secret_name(name: str) -> bool:
    """Whether a header, a parameter or a field with this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def mask_header(secret: bytes) -> str:
    """The parts of a header with a key that may be shown: its scheme, the ends of a long key, and its digest."""
    if not secret.strip():
        return secret.decode("latin-1")
    scheme, _, rest = secret.partition(b" ")
    word = f"{scheme.decode()} " if scheme.lower() in _SCHEMES and rest else ""
    key = _KEY.fullmatch(normalize_bearer(secret))
    ends = f"{key[1].decode()}...{key[2].decode()}" if key else "..."
    return f"{word}{ends} ({digest_header(secret)})"


def digest_header(secret: bytes) -> str:
    """The beginning of the SHA-256 of a header that says who asks, whatever the case of its scheme."""
    return sha256(normalize_bearer(secret) or secret).hexdigest()[:_DIGITS]


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


def mask_url(text: str) -> str:
    """A text; if it is a URL, with its user information and the secret parameters of its query masked."""
    if "://" not in text:
        return text
    text = _USER.sub(lambda match: f"{mask_text(match[1])}@", text)
    if "?" not in text or not _URL.fullmatch(text):
        return text
    before, mark, rest = text.partition("?")
    query, hash_mark, fragment = rest.partition("#")
    return before + mark + mask_query(query) + hash_mark + fragment


def mask_body(text: str) -> str:
    """A JSON text, or its beginning, with the texts and numbers of its secret fields masked; a form's fields too."""
    if not _may_hold_secret(text):
        return text
    if text.lstrip()[:1] in {"{", "["}:
        return _TOKEN.sub(_BodyMask().mask, text)
    return mask_query(text) if "=" in text else text


def _may_hold_secret(text: str) -> bool:
    """Whether a body must be read token by token; a long one without a secret is not."""
    if "\\" in text or ("://" in text and ("@" in text or "?" in text)):
        return True
    lower = text.lower()
    return any(word in lower for word in _WORDS)


def _mask_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        return pair
    if is_secret_name(unquote_plus(name)):
        return f"{name}={mask_text(value)}"
    plain = unquote_plus(value)
    url = mask_url(plain)
    return pair if url == plain else f"{name}={quote(url, safe='')}"


class _BodyMask:
    """Masks the tokens of a JSON text one after another."""

    __slots__ = ("_depth", "_is_secret", "_secret_depth")

    def __init__(self) -> None:
        self._depth = 0
        """How many objects and arrays are open."""
        self._is_secret = False
        """Whether the next token is the value of a secret field."""
        self._secret_depth = 0
        """The depth of the outermost open object or array that is the value of a secret field; 0 if there is none."""

    def mask(self, match: re.Match[str]) -> str:
        """The token as it is shown."""
        token, string, colon, number = match[0], match[1], match[2], match[3]
        is_secret = self._is_secret or self._secret_depth > 0
        self._is_secret = False
        if token in {"{", "["}:
            self._depth += 1
            self._secret_depth = self._secret_depth or (self._depth if is_secret else 0)
        elif token in {"}", "]"}:
            self._secret_depth = 0 if self._secret_depth == self._depth else self._secret_depth
            self._depth -= 1
        elif colon:
            self._is_secret = is_secret_name(_read_string(string))
        elif string:
            return _mask_string(string, mask_text if is_secret else mask_url)
        elif number and is_secret:
            return "0"
        return token


def _mask_string(string: str, mask: Callable[[str], str]) -> str:
    """A JSON string, possibly cut, whose text is masked."""
    text = _read_string(string)
    masked = mask(text)
    if masked == text:
        return string
    end = '"' if len(string) > 1 and string.endswith('"') else ""
    return json.dumps(masked)[:-1] + end


def _read_string(string: str) -> str:
    """The text of a JSON string; of a string that is cut, the characters that are there."""
    try:
        found = json.loads(string, strict=False)
    except ValueError:
        return string[1:].removesuffix('"')
    return str(found)
