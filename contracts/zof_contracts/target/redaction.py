"""Keys never leave the client: everything that is written goes through a `Redactor`, which replaces each key.

A target may echo a key in many forms. The redactor knows it as it stands, escaped for JSON, percent-encoded, as HTML,
in hexadecimal digits and in base64, also when a text mixes or nests these, and in any case of letters. A key whose
characters are common in ordinary words is replaced only where it stands alone.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MIN_KEY: Final = 8
"""The length of the shortest key; a shorter one cannot be distinguished from other text."""
_LONG: Final = 20
"""Characters from which a key is replaced even within a word."""
_HTML_NAMES: Final = {
    "&": "amp",
    "<": "lt",
    ">": "gt",
    '"': "quot",
    "'": "apos",
    "/": "sol",
    "+": "plus",
    "=": "equals",
}
_WORD_START: Final = r"(?<![A-Za-z0-9])|(?<=%[0-9a-f]{2})|(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4})|(?<=\\x[0-9a-f]{2})"
"""A position at which a word starts, or which follows an escaped character."""
_BASE64_BLOCK: Final = 3


class Redactor:
    """Replaces every key by its name, such as `[key main]`."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        # The longest first, so that a key that begins another one does not leave the rest of it behind.
        ordered = sorted((pair for pair in keys.items() if pair[1]), key=lambda pair: -len(pair[1]))
        self._replace = _compile(tuple(ordered))

    def text(self, text: str) -> str:
        """The text without any key."""
        return self._replace(text)

    def bytes(self, content: bytes) -> bytes:
        """The bytes without any key."""
        return self._replace(content.decode("latin-1")).encode("latin-1")


def check_key(secret: str) -> str:
    """The key without white space around it.

    Raises:
        ValueError: it cannot be sent in a header, or is too short to be kept out of reports.
    """
    trimmed = secret.strip()
    if len(trimmed) < MIN_KEY:
        raise ValueError(f"the key has {len(trimmed)} characters: use a key of at least {MIN_KEY}")
    if not all("!" <= character <= "~" for character in trimmed):
        raise ValueError("the key contains a space, a control character or a character outside ASCII")
    return trimmed


@lru_cache(maxsize=64)
def _compile(keys: tuple[tuple[str, str], ...]) -> Callable[[str], str]:
    """A function that replaces the keys."""
    if not keys:
        return str
    names = [name for name, _ in keys]
    pattern = re.compile("|".join(f"({_match_key(secret)})" for _, secret in keys), re.IGNORECASE)

    def replace(text: str) -> str:
        return pattern.sub(lambda found: f"[key {names[(found.lastindex or 1) - 1]}]", text)

    return replace


def _match_key(secret: str) -> str:
    """A pattern for a key in every form."""
    plain = _match_escaped(secret)
    if _is_wordlike(secret):
        plain = rf"(?:{_WORD_START}){plain}(?![A-Za-z0-9])"
    forms = [plain, _match_hexadecimal(secret), *map(_match_escaped, _encode_base64(secret))]
    return "|".join(forms)


def _is_wordlike(secret: str) -> bool:
    """Whether the key could be a part of an ordinary word or ID."""
    return len(secret) < _LONG and not (any(map(str.isdigit, secret)) and any(map(str.isalpha, secret)))


def _match_escaped(text: str) -> str:
    """A pattern for a text whose characters may be escaped, each in a way of its own."""
    return r"\x00?".join(map(_match_character, text))


@lru_cache(maxsize=256)
def _match_character(character: str) -> str:
    """A pattern for one character: itself, or escaped for JSON, a URL or HTML; a URL's escapes may be nested."""
    code = ord(character)
    forms = [
        rf"\\*{re.escape(character)}" if character in "/\"'\\" else re.escape(character),
        rf"%(?:25)*{code:02x}",
        rf"\\+u00{code:02x}",
        rf"\\+x{code:02x}",
        rf"&(?:amp;)*#0*{code};",
        rf"&(?:amp;)*#x0*{code:x};",
    ]
    if character in _HTML_NAMES:
        forms.append(f"&(?:amp;)*{_HTML_NAMES[character]};")
    return f"(?:{'|'.join(forms)})"


def _match_hexadecimal(text: str) -> str:
    return r"[\s:]?".join(f"(?:0x|\\\\x)?{ord(character):02x}" for character in text)


def _encode_base64(secret: str) -> list[str]:
    """The base64 forms of a key at each of the three offsets, without the characters that its neighbours decide."""
    content, found = secret.encode(), []
    for offset in range(_BASE64_BLOCK):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(offset) + content).decode()
            first = -(-offset * 8 // 6)
            last = (offset + len(content)) * 8 // 6
            found.append(text[first:last])
    return list(dict.fromkeys(found))
