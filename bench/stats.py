"""Statistics: the median, the lowest and the highest of measured values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def to_json(self) -> dict[str, float]:
        """The spread, for a file."""
        return asdict(self)


def compare(values: Sequence[float], baseline: Sequence[float]) -> Spread:
    """The ratios of values to those of a baseline in the same round, since a disturbance in a round affects both."""
    return Spread.from_values([mine / theirs for mine, theirs in zip(values, baseline, strict=True)])
