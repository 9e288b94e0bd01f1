"""The API of tomorrow: fields, and values of enumerations, that the vendor may add without a new version.

`/docs/api/versioning` calls new optional fields in answers and new values of enumerations no breaking change. A world
whose configuration says `evolve` answers with such fields and values now, so that a client that cannot tolerate them
fails in a test. All of it follows from the seed. Objects with the same fields get the same new fields.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.core.runs import Run

PROVISIONING: Final = "provisioning"
"""The status of a run between `queued` and `running`."""
RECORDING: Final = "recording"
"""The type of some artifacts that are traces otherwise."""
_LEAST_MS: Final = 50
_MOST_MS: Final = 199
"""How long a run is provisioned, in ms of the world's time; no case takes less than 200 ms."""
_FIELDS: Final[Mapping[str, object]] = {
    "archived": False,
    "labels": [],
    "metadata": {"origin": "zof-emulator", "attempt": 1},
    "owner_team": None,
    "priority": 3,
    "region": "eu-central",
    "score": 0.5,
}
_MOST_FIELDS: Final = 2
_EVERY: Final = 2


class Evolution:
    """The fields and values that a seed adds to the API."""

    __slots__ = ("_added", "_seed")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._added: dict[tuple[str, ...], dict[str, object]] = {}

    def evolve(self, value: Any) -> Any:  # noqa: ANN401  a JSON value
        """A JSON value with new fields in every object."""
        if isinstance(value, list):
            return [self.evolve(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {**{name: self.evolve(one) for name, one in value.items()}, **self.choose_fields(value)}

    def choose_fields(self, value: Mapping[str, Any]) -> Mapping[str, object]:
        """The new fields of an object; there is at least one."""
        kind = tuple(sorted(value))
        added = self._added.get(kind)
        if added is None:
            free = sorted(_FIELDS.keys() - value.keys(), key=lambda name: self._draw("field", *kind, name))
            count = 1 + self._draw("count", *kind) % _MOST_FIELDS
            added = self._added[kind] = {name: _FIELDS[name] for name in free[:count]}
        return added

    def is_provisioning(self, run: Run, now: int) -> bool:
        """Whether a run that has started is still provisioned at an instant (ms)."""
        if run.started_at is None or run.has_ended or run.outcomes:
            return False
        takes = _LEAST_MS + self._draw("run", str(run.number)) % (_MOST_MS - _LEAST_MS + 1)
        return now < run.started_at + takes

    def is_recording(self, run: int, slot: int) -> bool:
        """Whether the trace in a slot of a run has the new type."""
        return self._draw("artifact", str(run), str(slot)) % _EVERY == 0

    def _draw(self, *words: str) -> int:
        text = "/".join((str(self._seed), "evolve", *words))
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
