"""Keys in every form that a target can echo, and ordinary words that are left alone."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_contracts.target.redaction import Redactor

KEY = "zof_/s+e=c'r&e\"t\\1"
MASK = "[key main]"

FORMS = {
    "plain": lambda key: key,
    "json": lambda key: json.dumps(key)[1:-1],
    "json in json": lambda key: json.dumps(json.dumps(key))[1:-1],
    "escaped slashes": lambda key: key.replace("/", "\\/"),
    "unicode escapes": lambda key: "".join(f"\\u{ord(each):04x}" for each in key),
    "unicode escapes in capitals": lambda key: "".join(f"\\u{ord(each):04X}" for each in key),
    "percent": lambda key: quote(key, safe=""),
    "percent for each": lambda key: "".join(f"%{ord(each):02x}" for each in key),
    "percent twice": lambda key: quote(quote(key, safe=""), safe=""),
    "html": html.escape,
    "html numbers": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "html hexadecimal": lambda key: "".join(f"&#x{ord(each):X};" for each in key),
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal in capitals": lambda key: key.encode().hex(" ").upper(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for urls": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "base64 with a user": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "base64 in the middle": lambda key: base64.b64encode(f"Bearer {key}, thanks".encode()).decode(),
    "utf-16": lambda key: key.encode("utf-16-le").decode("latin-1"),
    "capitals": str.upper,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", [KEY, "zof_live_0123456789abcdef", "correct-horse-battery-staple"])
def test_a_key_is_replaced_in_every_form(key: str, form: str) -> None:
    """Text and bytes are rid of a key, however it is written."""
    echoed = FORMS[form](key)
    redactor = Redactor({"main": key})
    for text in (echoed, f'{{"message": "no such key {echoed}!"}}', f"%20{echoed}&amp;", f"\\n{echoed}"):
        clean = redactor.text(text)
        assert MASK in clean
        assert echoed not in clean
    assert echoed.encode("latin-1") not in redactor.bytes(b"\xff" + echoed.encode("latin-1") + b"\xfe")


def test_an_ordinary_word_is_left_alone() -> None:
    """A key that could be a part of words is replaced where it stands alone, and nowhere else."""
    redactor = Redactor({"main": "checkout"})
    assert redactor.text("tc_checkout_014") == f"tc_{MASK}_014"
    assert redactor.text("checkouts and precheckout") == "checkouts and precheckout"
    assert redactor.text('{"key": "checkout"}') == f'{{"key": "{MASK}"}}'
    assert redactor.text("?q=%20checkout\\ncheckout") == f"?q=%20{MASK}\\n{MASK}"


def test_a_key_that_begins_another_leaves_nothing_behind() -> None:
    """The longer key is replaced first."""
    redactor = Redactor({"main": "zof_key_1", "readonly": "zof_key_1_and_more"})
    assert redactor.text("zof_key_1_and_more, zof_key_1") == "[key readonly], [key main]"


def test_without_keys_nothing_changes() -> None:
    """Nothing is replaced where there is no key."""
    assert Redactor({}).text("anything") == "anything"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40), st.text())
def test_no_text_holds_a_key(key: str, around: str) -> None:
    """A key of any characters is replaced wherever it stands alone, in any surroundings."""
    assert MASK in Redactor({"main": key}).text(f"{around} {key} {around}")
