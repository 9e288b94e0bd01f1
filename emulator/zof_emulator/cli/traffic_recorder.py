"""Records the exchanges of all worlds of an emulator, and says which operations were called."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from typing import IO, TYPE_CHECKING, Final, Self

from zof_emulator.control.journal import list_lines
from zof_emulator.handlers.table import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from zof_emulator.core.scenario import Scenario
    from zof_emulator.http.hosted_world import HostedWorld

_UNANSWERED: Final = "no answer"
"""The summary's text in the place of a status, if a fault broke the connection before an answer."""
_PIECE: Final = 1 << 20


class TrafficRecorder:
    """The exchanges of all worlds: a journal of a world is added when it ends, and the others at the end of the run.

    A journal ends when its world is reset, restored or deleted, and when it is cleared.
    """

    def __init__(self) -> None:
        self._calls: dict[str, Counter[int]] = defaultdict(Counter)
        self._elsewhere = 0
        self.requests: Counter[tuple[str, Scenario]] = Counter()
        """The requests to the API, by the name of the world and the scenario that it began with."""
        self.limited = 0
        """The requests that the rate limit refused."""
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the recorder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, hosted: HostedWorld) -> None:
        """Add the exchanges of a world."""
        if hosted.journal is None or not hosted.journal.count:
            return
        for _, entry in hosted.journal.list_entries(hosted.world):
            if entry.operation in TABLE:
                self._calls[entry.operation][entry.status] += 1
            elif entry.path.startswith("/v1"):
                self._elsewhere += 1
            if entry.path.startswith("/v1"):
                self.requests[hosted.name, hosted.began_with.scenario] += 1
                self.limited += entry.reason == "rate_limited" and entry.fault is None
        self._file.writelines(list_lines(hosted, ""))

    def finish(self, worlds: Iterable[HostedWorld]) -> None:
        """Add the journals that have not ended. Without any exchange, the first world says how it was configured."""
        found = list(worlds)
        for hosted in found:
            self.add(hosted)
        if not self._file.tell():
            self._file.writelines(list_lines(found[0], ""))

    def read_lines(self) -> Iterator[bytes]:
        """The journals as NDJSON, in pieces; each begins with a line that describes its world."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    def summarize(self) -> str:
        """A summary: a line per called operation with its statuses, and the operations that were never called."""
        width = max(map(len, TABLE))
        count = sum(one.total() for one in self._calls.values())
        lines = [f"zof-emulator: {count} {'request' if count == 1 else 'requests'} reached an operation"]
        for operation in TABLE:
            if operation in self._calls:
                statuses = sorted(self._calls[operation].items())
                shown = ", ".join(f"{status or _UNANSWERED}: {times}" for status, times in statuses)
                lines.append(f"  {operation:{width}}  {shown}")
        if self._elsewhere:
            lines.append(f"  {'no operation':{width}}  {self._elsewhere}")
        never = [operation for operation in TABLE if operation not in self._calls]
        return "\n".join([*lines, f"never called: {', '.join(never)}"] if never else lines)
