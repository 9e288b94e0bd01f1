"""Mutations of a JSON value: at every place every value of another kind, and every element left out or repeated."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    7,
    1 << 31,
    1 << 47,
    (1 << 63) - 1,
    1 << 63,
    1.0,
    0.5,
    "",
    "x",
    "a\r\nb: c",
    "tc_other",
    "proj_other",
    "org_other",
    "passed",
    "queued",
    "running",
    "canceled",
    "5",
    [],
    [1],
    {},
    {"x": 1},
)
"""The replacements of a value."""
NEAR: Final = (-100_000, -1, 1, 100_000)
"""The summands for an integer."""


class Mutation(NamedTuple):
    """A change of one place in a JSON value."""

    path: tuple[str | int, ...]
    kind: str
    value: Any = None

    def apply(self, whole: Any) -> Any:  # noqa: ANN401  a JSON value
        """The value, changed; itself when the place is no longer there. The argument may be changed too."""
        if not self.path:
            return whole
        try:
            self._change(whole)
        except (AttributeError, LookupError, TypeError):
            return whole
        return whole

    def _change(self, whole: Any) -> None:  # noqa: ANN401
        *above, last = self.path
        holder = whole
        for step in above:
            holder = holder[step]
        if self.kind == "replace":
            holder[last] = deepcopy(self.value)
        elif self.kind == "remove":
            del holder[last]
        elif self.kind == "add":
            holder[last] += self.value
        elif self.kind == "repeat":
            holder.insert(last, deepcopy(holder[last]))
        elif self.kind == "swap":
            after = int(last) + 1
            holder[last], holder[after] = holder[after], holder[last]
        elif self.kind == "rename":
            holder[self.value] = holder.pop(last)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:  # noqa: ANN401
    """All places in a JSON value, with what is there."""
    if path:
        yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield from places(one, (*path, step))


def mutations(value: Any) -> list[Mutation]:  # noqa: ANN401
    """All single mutations of a JSON value."""
    found: list[Mutation] = []
    for path, one in places(value):
        found += [Mutation(path, "replace", other) for other in VALUES]
        found.append(Mutation(path, "remove"))
        if isinstance(one, int) and not isinstance(one, bool):
            found += [Mutation(path, "add", by) for by in NEAR]
        if isinstance(one, str):
            found.append(Mutation(path, "add", "x"))
        if isinstance(path[-1], int):
            found += [Mutation(path, "repeat"), Mutation(path, "swap")]
        else:
            found.append(Mutation(path, "rename", f"{path[-1]}x"))
    return found
