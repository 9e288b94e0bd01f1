"""IDs: they follow from a seed, never repeat, and can be read back without a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN_BITS: Final = 64
_REQUEST_BITS: Final = 80
_PART: Final = re.compile(r"(.+)_([0-9]{3,4})")


@dataclass(frozen=True, slots=True)
class Permutation:
    """A permutation of the integers of `bits` bits: `number` maps to `base + number * step`, where `step` is odd."""

    base: int
    step: int
    inverse: int
    """The multiplicative inverse of `step`."""
    mask: int
    form: str
    """The `%` format of a word."""

    @classmethod
    @lru_cache(maxsize=256)  # many worlds have the same seed
    def from_seed(cls, seed: int, purpose: str, bits: int) -> Permutation:
        """The permutation that follows from a seed and a purpose."""
        digest = blake2b(f"{seed}/{purpose}".encode(), digest_size=bits // 4).digest()
        base, step = int.from_bytes(digest[: bits // 8], "big"), int.from_bytes(digest[bits // 8 :], "big") | 1
        return cls(base, step, pow(step, -1, 1 << bits), (1 << bits) - 1, f"%0{bits // 4}x")

    def word(self, number: int) -> str:
        """The word of a number, in hexadecimal digits."""
        return self.form % ((self.base + number * self.step) & self.mask)

    def number(self, word: str) -> int | None:
        """The number whose word this is, or None if the text is not a word of this permutation."""
        try:
            value = int(word, 16)
        except ValueError:
            return None
        if self.form % (value & self.mask) != word:  # for example in upper case, or with a sign
            return None
        return (value - self.base) * self.inverse & self.mask


class IdScheme:
    """The IDs of a world. A run has a number; its results, artifacts and log lines have an index within the run.

    `samples` are the IDs of the first runs without their prefix; an empty one stands for a generated ID. They make the
    examples of the document hold under every seed.
    """

    __slots__ = ("_numbers", "_requests", "_runs", "samples")

    def __init__(self, seed: int, samples: tuple[str, ...] = ()) -> None:
        self.samples = samples
        self._numbers = {word: number for number, word in enumerate(samples) if word}
        self._runs = Permutation.from_seed(seed, "run", _RUN_BITS)
        self._requests = Permutation.from_seed(seed, "request", _REQUEST_BITS)

    def request(self, number: int) -> str:
        """The request ID of the answer with this number: `req_` and 20 hexadecimal digits."""
        return "req_" + self._requests.word(number)

    def run(self, number: int) -> str:
        """The ID of the run with this number."""
        return "run_" + self._word(number)

    def result(self, number: int, index: int) -> str:
        """The ID of the result of a run's case at `index`, counted from 0."""
        return f"res_{self._word(number)}_{index + 1:03d}"

    def artifact(self, number: int, slot: int) -> str:
        """The ID of the artifact in a run's `slot`, counted from 0."""
        return f"art_{self._word(number)}_{slot + 1:04d}"

    def log(self, number: int, line: int) -> str:
        """The ID of a run's log line; `line` is counted from 0."""
        return f"log_{self._word(number)}_{line + 1:04d}"

    def read_run(self, name: str) -> int | None:
        """The number of the run with this ID; None if no run can have the ID."""
        return self._number(name[4:]) if name.startswith("run_") else None

    def read_result(self, name: str) -> tuple[int, int] | None:
        """The run's number and the case's index in the ID of a result; None if no result can have the ID."""
        return self._read_part(name, "res_", self.result)

    def read_artifact(self, name: str) -> tuple[int, int] | None:
        """The run's number and the slot in the ID of an artifact; None if no artifact can have the ID."""
        return self._read_part(name, "art_", self.artifact)

    def _word(self, number: int) -> str:
        return (number < len(self.samples) and self.samples[number]) or self._runs.word(number)

    def _number(self, word: str) -> int | None:
        known = self._numbers.get(word)
        if known is not None:
            return known
        number = self._runs.number(word)
        return number if number is None or number >= len(self.samples) or not self.samples[number] else None

    def _read_part(self, name: str, prefix: str, write: Callable[[int, int], str]) -> tuple[int, int] | None:
        match = _PART.fullmatch(name[len(prefix) :])
        number = self._number(match[1]) if match and name.startswith(prefix) else None
        if match is None or number is None:
            return None
        index = int(match[2]) - 1
        return (number, index) if index >= 0 and write(number, index) == name else None
