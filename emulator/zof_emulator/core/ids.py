"""Names of things: IDs that a seed tells, that never repeat, and that can be read back without a table of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN_BITS: Final = 64
_REQUEST_BITS: Final = 80
_PART: Final = re.compile(r"(.+)_([0-9]{3,4})")


@dataclass(frozen=True, slots=True)
class Permutation:
    """A walk over all numbers of `bits` bits that meets each once: the nth step is at `base + n * step`, `step` odd."""

    base: int
    step: int
    back: int
    """The inverse of the step."""
    mask: int
    form: str
    """How a word is written, for `%`."""

    @classmethod
    def from_seed(cls, seed: int, purpose: str, bits: int) -> Permutation:
        """The walk that a seed tells for a purpose."""
        digest = blake2b(f"{seed}/{purpose}".encode(), digest_size=bits // 4).digest()
        base, step = int.from_bytes(digest[: bits // 8], "big"), int.from_bytes(digest[bits // 8 :], "big") | 1
        return cls(base, step, pow(step, -1, 1 << bits), (1 << bits) - 1, f"%0{bits // 4}x")

    def word(self, number: int) -> str:
        """The nth step, in hexadecimal digits."""
        return self.form % ((self.base + number * self.step) & self.mask)

    def number(self, word: str) -> int | None:
        """Which step has this word, or None when the word is none of the walk's."""
        try:
            place = int(word, 16)
        except ValueError:
            return None
        if self.form % (place & self.mask) != word:  # in another case, say, or with a sign
            return None
        return (place - self.base) * self.back & self.mask


class IdScheme:
    """The IDs of one world: runs by number, and what belongs to a run by its place in it.

    `samples` are the words of the first runs, so that the spec's examples hold under every seed.
    """

    __slots__ = ("_numbers", "_requests", "_runs", "samples")

    def __init__(self, seed: int, samples: tuple[str, ...] = ()) -> None:
        self.samples = samples
        self._numbers = {word: number for number, word in enumerate(samples)}
        self._runs = Permutation.from_seed(seed, "run", _RUN_BITS)
        self._requests = Permutation.from_seed(seed, "request", _REQUEST_BITS)

    def request(self, number: int) -> str:
        """The ID of the nth answer: `req_` and 20 hexadecimal digits."""
        return "req_" + self._requests.word(number)

    def run(self, number: int) -> str:
        """The ID of the nth run."""
        return "run_" + self._word(number)

    def result(self, number: int, index: int) -> str:
        """The ID of the result of a run's case at `index`, counted from 0."""
        return f"res_{self._word(number)}_{index + 1:03d}"

    def artifact(self, number: int, slot: int) -> str:
        """The ID of the artifact in a run's `slot`, counted from 0."""
        return f"art_{self._word(number)}_{slot + 1:04d}"

    def log(self, number: int, line: int) -> str:
        """The ID of a run's log line, counted from 0."""
        return f"log_{self._word(number)}_{line + 1:04d}"

    def read_run(self, name: str) -> int | None:
        """The number of the run with this ID, or None."""
        return self._number(name[4:]) if name.startswith("run_") else None

    def read_result(self, name: str) -> tuple[int, int] | None:
        """The run's number and the case's index in the ID of a result, or None."""
        return self._read_part(name, "res_", self.result)

    def read_artifact(self, name: str) -> tuple[int, int] | None:
        """The run's number and the slot in the ID of an artifact, or None."""
        return self._read_part(name, "art_", self.artifact)

    def _word(self, number: int) -> str:
        return self.samples[number] if number < len(self.samples) else self._runs.word(number)

    def _number(self, word: str) -> int | None:
        known = self._numbers.get(word)
        if known is not None:
            return known
        number = self._runs.number(word)
        return number if number is None or number >= len(self.samples) else None

    def _read_part(self, name: str, prefix: str, write: Callable[[int, int], str]) -> tuple[int, int] | None:
        match = _PART.fullmatch(name[len(prefix) :])
        number = self._number(match[1]) if match and name.startswith(prefix) else None
        if match is None or number is None:
            return None
        index = int(match[2]) - 1
        return (number, index) if index >= 0 and write(number, index) == name else None
