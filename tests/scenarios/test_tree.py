"""Files as trees: values as JSON has them, a line for each place, and nothing that could fill the memory."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.scenarios.load import UnusableScenario, load_file
from zof_emulator.scenarios.tree import MOST_BYTES, TreeError, read_tree

if TYPE_CHECKING:
    from pathlib import Path

SOON: Final = 1.0
"""Seconds of processor time in which every file is refused."""
characters: Final = st.characters(codec="utf-8") | st.sampled_from(" \u2028\u2029\x85\x7f\ufffe\\")
texts: Final = st.text(characters, max_size=8)
scalars: Final = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | texts
values: Final = st.dictionaries(texts, scalars, max_size=3) | st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=12
).map(lambda value: {"part": value})


@given(values, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_json(value: Any, indent: int | str | None, ascii_only: bool) -> None:  # noqa: ANN401, FBT001
    """A JSON file is read as the value that it holds, however it is indented and escaped."""
    assert read_tree(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()).value == value


@given(values)
def test_lines(value: Any) -> None:  # noqa: ANN401
    """The line of a place is the line at which its key or its entry stands."""
    text = json.dumps(value, indent=1)
    tree = read_tree(text.encode())
    lines = text.split("\n")
    for place, line in tree.lines.items():
        if place and isinstance(place[-1], str):
            assert lines[line - 1].lstrip().startswith(json.dumps(place[-1]))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no\nb: on\nc: 12:30\nd: 2026-01-01", {"a": "no", "b": "on", "c": "12:30", "d": "2026-01-01"}),
        ("a: 012\nb: 0x1f\nc: 1_000", {"a": 12, "b": "0x1f", "c": "1_000"}),
        ("a: ~\nb:\nc: null\nd: ''", {"a": None, "b": None, "c": None, "d": ""}),
        ("a: '1'\nb: \"true\"\nc: |\n  1\n", {"a": "1", "b": "true", "c": "1\n"}),
        ("a: 1.5\nb: 1e3\nc: .inf", {"a": 1.5, "b": 1000.0, "c": ".inf"}),
        ("", None),
        ("[]", []),
    ],
)
def test_plain_values(text: str, value: object) -> None:
    """Plain values are what YAML 1.2 says: `no` and times are texts, and quotes make a text of a number."""
    assert read_tree(text.encode()).value == value


BOMB: Final = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED: Final[dict[str, tuple[str, int, str]]] = {
    "a bomb of aliases": (BOMB, 1, "anchors and aliases are refused"),
    "an anchor loop": ("a: 1\nb: &loop\n  c: *loop\n", 2, "anchors and aliases are refused"),
    "a merge": ("a: 1\nb:\n  <<: *x\n", 3, "anchors and aliases are refused"),
    "a Python tag": ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "the tag tag:yaml.org,2002:python/object"),
    "a tag of one's own": ("a: !mine x\n", 1, "the tag !mine is refused"),
    "a key that is given twice": ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice; the first is in line 1"),
    "a key that is given twice below": ("a:\n  - b: 1\n    b: 1\n", 3, "'b' is given twice; the first is in line 2"),
    "a key that is a list": ("a: 1\n? [b]\n: 1\n", 2, "a key must be a text"),
    "two documents": ("a: 1\n---\nb: 1\n", 2, "a second document begins here"),
    "deep nesting": ("[" * 100_000, 1, "nested deeper than 32"),
    "deep nesting of mappings": ("{a: " * 100_000, 1, "nested deeper than 32"),
    "too many values": ("[" + "1, " * 300_000 + "]", 1, "more than 50000 values"),
    "too many keys": ("\n".join(f"k{number}: 1" for number in range(60_000)), 25_000, "more than 50000 values"),
    "an open bracket": ("a: 1\nb: [1,\n", 3, "neither YAML nor JSON"),
    "a tab": ("a:\n\t- 1\n", 2, "neither YAML nor JSON"),
    "no text": ("a: 1\nb: \x00\n", 2, "neither YAML nor JSON"),
    "an unclosed quote": ("a: 'x\n", 2, "neither YAML nor JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """A construct that no scenario needs is refused at once, with its line and the mistake."""
    text, line, message = REFUSED[name]
    began = time.process_time()
    with pytest.raises(TreeError) as caught:
        read_tree(text.encode())
    assert time.process_time() - began < SOON
    assert message in str(caught.value)
    assert caught.value.line == line


def test_invalid_encoding() -> None:
    """Bytes that are no text are refused."""
    with pytest.raises(TreeError, match="neither YAML nor JSON"):
        read_tree(b"a: 1\nb: \xff\xfe\xfa\n")


def test_a_large_file(tmp_path: Path) -> None:
    """A file of 100 MiB is refused without being read."""
    file = tmp_path / "large.yaml"
    with file.open("wb") as target:
        target.truncate(100 << 20)
    began = time.process_time()
    with pytest.raises(UnusableScenario, match=f"larger than {MOST_BYTES} bytes"):
        load_file(file)
    assert time.process_time() - began < SOON


def list_lines(content: bytes) -> list[int]:
    """The lines of all places in a file, or the line of the error."""
    try:
        return list(read_tree(content).lines.values())
    except TreeError as error:
        return [error.line]


@given(st.binary(max_size=200) | st.text("a:-[]{}&*!'\"|>? \n\t#1", max_size=60).map(str.encode))
def test_anything(content: bytes) -> None:
    """A file with any content is read, or refused with a line that the file has."""
    last = content.count(b"\n") + content.count(b"\r") + 2
    assert all(1 <= line <= last for line in list_lines(content))
