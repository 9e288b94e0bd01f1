"""Reads a YAML or JSON file as a JSON value in which each place has a line.

The file is read by YAML 1.2's core schema, so that `no` is a text. Anchors, aliases, tags and repeated keys are
refused, and so are files that are too large, too deep or have too many values: a file of a few lines cannot fill the
memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Place = tuple[str | int, ...]

MOST_BYTES: Final = 1 << 20
"""The largest size of a file."""
_MOST_VALUES: Final = 50_000
_MOST_DEPTH: Final = 32
_LONGEST_KEY: Final = 200
_WORDS: Final = {"": None, "null": None, "~": None, "true": True, "false": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_INDENTATION: Final = re.compile(rb"^[ \t]+", re.MULTILINE)
_FORBIDDEN: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")
"""Characters that JSON allows in a text, and that YAML forbids or takes for the end of a line."""
_PAIR: Final = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})",
)


class TreeError(Exception):
    """A file cannot be read as a JSON value. The message says why; `line` is counted from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Tree:
    """A JSON value and the lines of its parts."""

    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    """The line of each field and entry, counted from 1, by the fields and indexes that lead to it."""

    def find_line(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_limited(path: Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: the file cannot be read.
        TreeError: the file is too large.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TreeError(1, f"the file is larger than {MOST_BYTES} bytes, which is the largest size of a scenario")
    return content


def read_tree(content: bytes) -> Tree:
    """The value in the content of a file.

    Raises:
        TreeError: the content is neither YAML nor JSON, or holds what is refused.
    """
    if content.lstrip()[:1] == b"{":
        content = _convert_to_yaml(content)
    builder = _Builder()
    try:
        for event in yaml.parse(content, Loader=yaml.CSafeLoader):
            builder.add(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = " ".join(filter(None, (error.problem, error.context))) or "it is not valid"
        raise TreeError(1 if mark is None else mark.line + 1, f"this is neither YAML nor JSON: {why}") from error
    except yaml.YAMLError as error:
        position = getattr(error, "position", None) or 0
        line = content.count(b"\n", 0, position) + 1
        raise TreeError(line, f"this is neither YAML nor JSON: {getattr(error, 'reason', 'it is not text')}") from error
    return builder.tree


def _convert_to_yaml(content: bytes) -> bytes:
    """JSON in the form that the YAML parser takes: no tab before a line, no surrogate pair, no separator of lines."""
    spaced = _INDENTATION.sub(lambda match: b" " * len(match[0]), content)
    escaped = _FORBIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", spaced.decode(errors="surrogateescape"))
    return _PAIR.sub(_join_pair, escaped.encode(errors="surrogateescape"))


def _join_pair(match: re.Match[bytes]) -> bytes:
    high, low = int(match[2], 16), int(match[3], 16)
    return match[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).encode()


class _Builder:
    """Makes a tree of the events of the parser, without recursion."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._open: list[dict[str, Any] | list[Any]] = []
        self._place: list[str | int] = []
        self._count = 0
        self._documents = 0
        self._key: str | None = None

    def add(self, event: Any) -> None:  # noqa: ANN401  PyYAML has no types for events
        """Add an event.

        Raises:
            TreeError: the event is refused.
        """
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise TreeError(line, "a second document begins here; a scenario is one document")
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise TreeError(line, "anchors and aliases are refused; write the value out")
        elif getattr(event, "tag", None) is not None:
            raise TreeError(line, f"the tag {event.tag[:_LONGEST_KEY]} is refused; leave it out")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.NodeEvent):
            self._count += 1
            if self._count > _MOST_VALUES:
                raise TreeError(line, f"the file has more than {_MOST_VALUES} values")
            self._add_node(event, line)

    def _add_node(self, event: Any, line: int) -> None:  # noqa: ANN401
        parent = self._open[-1] if self._open else None
        if isinstance(parent, dict) and self._key is None:
            self._add_key(event, parent, line)
            return
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _read_scalar(event)
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._place_value(parent, value, line)
        if isinstance(value, dict | list):
            self._open.append(value)
            if len(self._open) > _MOST_DEPTH:
                raise TreeError(line, f"the values are nested deeper than {_MOST_DEPTH}")

    def _add_key(self, event: Any, parent: Mapping[str, Any], line: int) -> None:  # noqa: ANN401
        if not isinstance(event, yaml.ScalarEvent):
            raise TreeError(line, "a key must be a text")
        key: str = event.value
        if key in parent:
            raise TreeError(line, f"{key[:_LONGEST_KEY]!r} is given twice; the first is in line {self._find_line(key)}")
        self._key = key
        self.tree.lines[*self._place, key] = line

    def _find_line(self, key: str) -> int:
        return self.tree.lines[*self._place, key]

    def _place_value(self, parent: dict[str, Any] | list[Any] | None, value: Any, line: int) -> None:  # noqa: ANN401
        is_open = isinstance(value, dict | list)
        if parent is None:
            self.tree.value = value
            self.tree.lines[()] = line
            return
        step: str | int
        if isinstance(parent, dict):
            step, self._key = self._key or "", None
            parent[step] = value
        else:
            step = len(parent)
            parent.append(value)
            self.tree.lines[*self._place, step] = line
        if is_open:
            self._place.append(step)

    def _close(self) -> None:
        self._open.pop()
        if self._place:
            self._place.pop()


def _read_scalar(event: Any) -> Any:  # noqa: ANN401
    """The value of a scalar: what JSON would read if it is plain, and a text if it is quoted."""
    text: str = event.value
    if event.style or not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) and len(text) < _LONGEST_KEY else text


def walk(value: Any) -> Iterator[Any]:  # noqa: ANN401  JSON
    """All values and keys in a JSON value, itself included, without recursion.

    Raises:
        TreeError: the value is too deep or has too many values, for example because it contains itself.
    """
    waiting, count = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        count += 1
        if depth > _MOST_DEPTH or count > 2 * _MOST_VALUES:
            raise TreeError(1, f"the values are nested deeper than {_MOST_DEPTH}, or are more than {_MOST_VALUES}")
        yield one
        if isinstance(one, dict):
            waiting += [(inner, depth + 1) for inner in (*one, *one.values())]
        elif isinstance(one, list | tuple):
            waiting += [(inner, depth + 1) for inner in one]
