"""Keys never leave: what takes every key out of text and bytes, however a target or a format has written it.

Plug in: `Redactor(target.keys)`; a report is given nothing that has not been through one.
"""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping


class Redactor:
    """Replaces every key by its name."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        spoken = [(form, f"[key {name}]") for name, secret in keys.items() for form in _forms(secret)]
        # The longest first, so that a key that begins another does not leave the other's rest behind.
        self._spoken = sorted(spoken, key=lambda pair: -len(pair[0]))

    def text(self, text: str) -> str:
        """The text without any key."""
        for form, name in self._spoken:
            text = text.replace(form, name)
        return text

    def bytes(self, content: bytes) -> bytes:
        """The bytes without any key."""
        for form, name in self._spoken:
            content = content.replace(form.encode(), name.encode())
        return content


def _forms(secret: str) -> set[str]:
    """A key as it stands, in JSON, in a URL, in a page and in base64; none of an empty one."""
    plain = base64.b64encode(secret.encode()).decode().rstrip("=")
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    pages = {html.escape(secret), html.escape(secret, quote=False)}
    return {secret, json.dumps(secret)[1:-1], plain, *quoted, *pages} - {""}
