"""A session of measurements: the cores, the length of the rounds, and where files and messages go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.machine import Cores

Server = TypeVar("Server")


@dataclass(frozen=True, slots=True)
class Session:
    """The settings that all measurements share."""

    rounds: int
    """The number of rounds; each server is measured once in a round."""
    seconds: int
    """The seconds that wrk sends requests in each round."""
    cores: Cores
    folder: Path
    """The folder for the logs and the files of the servers."""
    log: Callable[[str], None]
    """Called with a line about the progress."""

    def iterate_rounds(self, title: str) -> Iterator[int]:
        """The numbers of the rounds, after a line about each; round 0 warms up, and its figures do not count."""
        for number in range(self.rounds + 1):
            self.log(f"{title}, {f'round {number} of {self.rounds}' if number else 'warming up'}")
            yield number


def rotate(servers: list[Server], number: int) -> list[Server]:
    """Let a different server begin in every round, so that the order favours none."""
    first = number % len(servers)
    return servers[first:] + servers[:first]
