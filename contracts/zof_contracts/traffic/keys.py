"""API keys of recorded traffic: each becomes a name as soon as it is read, and secrets elsewhere are masked.

The first key of the recordings is named `main`, the others `2`, `3` and so on, so that the script of a finding reads
them from `ZOF_API_KEY`, `ZOF_API_KEY_2`. A key itself is held in memory only, so that it can be removed from what is
written.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_plus

from zof_contracts.target.redaction import MIN_KEY, Redactor

_SECRET_NAME: Final = re.compile(
    r"(?:^|[-_])(?:api[-_]?key|apikey|key|token|secret|password|passwd|pwd|authorization|auth|bearer|credentials?)$",
    re.IGNORECASE,
)
"""Names of headers, parameters and fields that hold a secret."""
_NO_SECRETS: Final = frozenset({"idempotency-key"})
"""Names of the API that look like those of secrets, and are none."""
_DOCUMENTED_SECRETS: Final = frozenset({"secret"})
"""Fields of request bodies that hold a secret and belong there: that of a webhook."""
_MASKED_BY_EMULATOR: Final = re.compile(r"\.\.\.|\*\*\*")
"""The form in which the emulator's journal shows a key."""
_FIELD: Final = re.compile(r'"((?:[^"\\]|\\.){1,100})"(\s*:\s*)"((?:[^"\\]|\\.)*)"')
MASK: Final = "[masked]"


def is_secret_name(name: str) -> bool:
    """Whether a header, a parameter or a field with this name holds a secret that does not belong there."""
    return name.lower() not in _NO_SECRETS and _SECRET_NAME.search(name) is not None


class KeyNames:
    """Gives each API key a name."""

    def __init__(self, *, is_keeping: bool = True) -> None:
        """`is_keeping` is whether the keys are held in memory, so that they can be removed from reports."""
        self._is_keeping = is_keeping
        self._names: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        """The keys by name, as far as the recordings hold them; they never leave the process."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that were given."""
        return tuple(self._names.values())

    def name(self, authorization: str) -> str:
        """The name of the key in an Authorization header; empty without one."""
        text = authorization.strip()
        if not text:
            return ""
        digest = sha256(text.encode(errors="replace")).hexdigest()
        if digest not in self._names:
            self._names[digest] = "main" if not self._names else str(len(self._names) + 1)
            if self._is_keeping and (secret := read_secret(text)):
                self.secrets[self._names[digest]] = secret
        return self._names[digest]

    def redactor(self) -> Redactor:
        """The redactor that removes the keys from a text."""
        return Redactor(self.secrets)


def read_secret(authorization: str) -> str:
    """The key in an Authorization header; empty if it holds none, or the emulator has masked it."""
    text = authorization.strip()
    secret = text.partition(" ")[2].strip() or text
    return secret if len(secret) >= MIN_KEY and not _MASKED_BY_EMULATOR.search(secret) else ""


def mask_query(query: str) -> tuple[str, list[str]]:
    """A query string without the values of its secret parameters, and the names of these."""
    found: list[str] = []
    pairs: list[str] = []
    for pair in query.split("&"):
        name, equals, _ = pair.partition("=")
        if equals and is_secret_name(unquote_plus(name)):
            found.append(unquote_plus(name))
            pair = f"{name}={MASK}"  # noqa: PLW2901  the pair as it is kept
        pairs.append(pair)
    return "&".join(pairs), found


def mask_body(body: bytes) -> tuple[bytes, list[str]]:
    """A JSON body without the texts of its secret fields, and the names of those that the API does not document."""
    masked: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if not is_secret_name(match[1]):
            return match[0]
        masked.append(match[1])
        return f'"{match[1]}"{match[2]}"{MASK}"'

    if body.lstrip()[:1] != b"{":
        return body, []
    text = _FIELD.sub(replace, body.decode("utf-8", "surrogateescape"))
    undocumented = [name for name in masked if name not in _DOCUMENTED_SECRETS]
    return (text.encode("utf-8", "surrogateescape"), undocumented) if masked else (body, [])
