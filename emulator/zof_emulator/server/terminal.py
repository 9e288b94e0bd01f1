"""The terminal output of a running emulator: banner, ready line and log lines."""

from __future__ import annotations

import json
import logging
import os
import stat
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Final

from zof_emulator.core.instants import format_rfc3339_ms
from zof_emulator.core.tenants import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import IO, TextIO

    from zof_emulator.core.scenario import Scenario
    from zof_emulator.core.tenants import Key
    from zof_emulator.http.hosted_world import Exchange

RAISE_THE_LIMIT: Final = (
    "rate limit reached, as in production; to raise it: --rate-limit N/SECONDS (ZOF_EMULATOR_RATE_LIMIT), "
    "or --rate-limit off"
)


class Log:
    """Writes log lines as text or as JSON; `quiet` leaves out everything below a warning."""

    def __init__(self, form: str, *, quiet: bool, to: TextIO | Drain | None) -> None:
        self._json = form == "json"
        self._quiet = quiet
        self._to = to
        self._has_reported_rate_limit = False

    @property
    def on_exchange(self) -> Callable[[Exchange], None] | None:
        """The function to call after every exchange; None if exchanges are not logged."""
        return None if self._quiet else self._write_exchange

    def report_rate_limit(self) -> None:
        """Write, only once, how to raise the rate limit."""
        if not self._has_reported_rate_limit:
            self._has_reported_rate_limit = True
            self.warn(RAISE_THE_LIMIT)

    def warn(self, message: str, level: str = "warning") -> None:
        """Write a warning or an error."""
        line = json.dumps({"level": level, "message": message}) if self._json else f"zof-emulator: {level}: {message}"
        self._write(line)

    def _write_exchange(self, exchange: Exchange) -> None:
        at = format_rfc3339_ms(exchange.at)
        if self._json:
            self._write(json.dumps({"level": "info", "time": at, **exchange._asdict(), "at": exchange.at}))
        else:
            path = exchange.path if exchange.path.isprintable() else ascii(exchange.path)
            words = (exchange.method, path, str(exchange.status), exchange.reason, exchange.fault, exchange.request_id)
            self._write(f"{at} {' '.join(filter(None, words))}")

    def _write(self, line: str) -> None:
        write_line(self._to, line)


class Drain:
    """Writes lines from a separate thread, so that the server does not wait for a slow reader.

    If more than `most` lines wait, further lines are dropped, and a warning gives their number.
    """

    def __init__(self, to: TextIO | None, most: int = 10_000) -> None:
        self._to = to
        self._lines: Queue[str | None] = Queue(most)
        self._dropped = 0
        self._thread = Thread(target=self._drain, daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue a text; never blocks."""
        try:
            if self._dropped:
                self._lines.put_nowait(f"zof-emulator: warning: {self._dropped} log lines were dropped, unread\n")
                self._dropped = 0
            self._lines.put_nowait(text)
        except Full:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes all queued lines."""

    def close(self, within: float) -> None:
        """Let the thread write the queued lines, for at most `within` seconds."""
        try:
            self._lines.put_nowait(None)
        except Full:
            return
        self._thread.join(within)

    def _drain(self) -> None:
        while (text := self._lines.get()) is not None:
            write_line(self._to, text, end="")


def may_block(to: TextIO | None) -> bool:
    """Whether a stream is a pipe, whose writer blocks when nobody reads."""
    try:
        return to is not None and stat.S_ISFIFO(os.fstat(to.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def write_line(to: TextIO | IO[str] | Drain | None, text: str, end: str = "\n") -> None:
    """Write a text; if the reader has gone, the text is lost without an error."""
    if to is None:
        return
    try:
        to.write(text + end)
        to.flush()
    except (OSError, ValueError):
        _leave(to)


def _leave(to: TextIO | IO[str] | Drain) -> None:
    """Point a stream without a reader at the null device, so that Python can flush it at exit."""
    with suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, to.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


class Handler(logging.Handler):
    """Writes the records of the standard library's logging to a log, each in one line and without a traceback."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        cause = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self._log.warn(" ".join((record.getMessage() + cause).split()), record.levelname.lower())


def list_public_keys(scenario: Scenario) -> tuple[Key, ...]:
    """The keys of a scenario's worlds that anyone may see: those of the default data, which every copy has."""
    if scenario.data is None:
        return DEFAULT.keys
    public = {key.secret for key in DEFAULT.keys}
    return tuple(key for key in scenario.data.keys if key.secret in public)


def render_banner(base_url: str, shown: Sequence[Key], clock: str, *, token: str) -> str:
    """The banner: the base URL, the keys that may be shown, and a command to paste."""
    width = max((len(key.secret) for key in shown), default=0)
    keys = "\n".join(f"    {key.secret:<{width}}  {key.organization:<9}  {key.note}" for key in shown)
    keys = keys or "    those of the scenario, which are not shown"
    example = shown[0].secret if shown else "$ZOF_API_KEY"
    also = ", and so does a client that polls what is unfinished" if clock == "auto" else ""
    stands = "" if clock == "real" else f"\n  The clock stands still; POST /_emulator/clock/advance moves it{also}.\n"
    warning = (
        "\n  Not a loopback address: others on the network can reach it with these keys."
        f"\n  Token for /_emulator (Authorization: Bearer ...): {token}\n"
        if token
        else ""
    )
    return f"""
  Zof emulator, an unofficial stand-in: everything in memory, nothing leaves this machine.

  Base URL  {base_url}
  Keys
{keys}
{stands}{warning}
  Try it:
    curl -s -H 'Authorization: Bearer {example}' {base_url}/runs

  Ctrl-C ends it.
"""


def render_ready_line(base_url: str, host: str, port: int, pid: int, token_file: Path | None) -> str:
    """The line of JSON on standard output that says that the server is ready.

    `token_file` is the file that holds the token of `/_emulator`; null says that there is none.
    """
    token = None if token_file is None else str(token_file)
    ready = {"event": "ready", "base_url": base_url, "host": host, "port": port, "pid": pid, "token_file": token}
    return json.dumps(ready)
