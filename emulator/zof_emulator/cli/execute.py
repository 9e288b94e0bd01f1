"""`zof-emulator exec -- COMMAND`: runs a command with an emulator of its own, and exits with its status."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_emulator.app import create_app
from zof_emulator.cli.environment import list_client_variables
from zof_emulator.cli.option_types import Parsed, WholeNumber
from zof_emulator.cli.orphans import adopt_orphans, end_children
from zof_emulator.cli.provocation import (
    REPORT_FORMATS,
    check_requests,
    describe_client,
    describe_failure,
    disturb,
    judge_journals,
    make_settings,
)
from zof_emulator.cli.serve import build_settings, find_explicit_flags, serve
from zof_emulator.cli.snapshot_files import check_writable, load_snapshot, write_file
from zof_emulator.cli.traffic_recorder import TrafficRecorder
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.scenarios.situations import SITUATIONS
from zof_emulator.server.run import listen, serve_in_thread
from zof_emulator.server.terminal import write_line
from zof_emulator.testing.extra import describe_missing_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from zof_emulator.http.dispatch import Dispatcher
    from zof_emulator.settings import Settings

_LEFT_OUT: Final = frozenset(
    [
        "detach",
        "host",
        "journal",
        "log_format",
        "port",
        "public_url",
        "quiet",
        "save_on_exit",
        "token",
        "trusted_proxy",
        "watch",
        "workers",
    ]
)
"""Options of `serve` that this command does not take, or defines itself."""
_SHARED: Final = [option for option in serve.params if option.name not in _LEFT_OUT]
_KEPT_EXCHANGES: Final = 100_000
"""How many exchanges of a world the summary and the journal file cover."""
_GRACE: Final = 2.0
"""Seconds that the processes which the command leaves behind have for ending."""
_PAUSE: Final = 0.02
_SIGNALLED: Final = 128
_PASSED_ON: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def _execute(  # noqa: PLR0913  one for each option
    *,
    command: tuple[str, ...],
    summary: bool,
    journal: Path | None,
    check_client: bool,
    report: str | None,
    report_dir: Path | None,
    port: int,
    **flags: Any,  # noqa: ANN401
) -> int:
    """Start an emulator on a free port, run COMMAND with its address in the environment, and stop the emulator.

    COMMAND finds ZOF_BASE_URL, ZOF_API_KEY, ZOF_EMULATOR_URL and ZOF_CONTROL_URL in its environment. The exit status is
    that of COMMAND, 128 plus the number of the signal that ended it, or 2 if COMMAND cannot be started.

    With --check-client, COMMAND runs once in each of several situations, such as a 429, a lost answer or a forged
    webhook, and `zof-contracts client` judges what it sent. The exit status is then that of the judgement, or that of
    COMMAND if it fails where nothing is provoked.
    """
    settings = _settings(flags, port)
    if check_client:
        if summary or journal is not None:
            raise click.UsageError("--check-client runs the command several times: give no --summary and no --journal")
        if flags["load"]:
            raise click.UsageError("--check-client cannot use --load: a snapshot would replace what is provoked")
        return _try_client(settings, command, _list_report_options(report, report_dir))
    if report is not None or report_dir is not None:
        raise click.UsageError("--report and --report-dir need --check-client")
    if journal is not None:
        journal = check_writable(journal)
    with TrafficRecorder() as recorder:
        app = create_app(settings, on_journal_end=recorder.add)
        if flags["load"]:
            load_snapshot(app.hosted, Path(flags["load"]))
        status = _run_with(app, settings, command)
        recorder.finish(app.worlds)
        if summary:
            write_line(sys.stderr, recorder.summarize())
        if journal is not None:
            write_file(journal, recorder.read_lines)
    return status


def _list_report_options(report: str | None, folder: Path | None) -> list[str]:
    """The options of `zof-contracts client` for its reports, whose folder is below ours."""
    options = [] if report is None else [f"--report={report}"]
    return [*options, f"--report-dir={(folder or Path('contract-report')).absolute()}"]


def _try_client(settings: Settings, command: Sequence[str], options: Sequence[str]) -> int:
    """Run the command in each situation, say what it did, and have its journals judged with these options."""
    if missing := describe_missing_extra():
        raise click.ClickException(f"--check-client needs the extra contracts: {missing}")
    with tempfile.TemporaryDirectory(prefix="zof-emulator-") as folder:
        journals: list[Path] = []
        for situation in SITUATIONS:
            journals.append(Path(folder) / f"{situation.name}.ndjson")
            with TrafficRecorder() as recorder:
                app = create_app(
                    make_settings(settings, situation),
                    on_journal_end=recorder.add,
                    on_world_start=partial(disturb, situation),
                )
                write_line(sys.stderr, f"zof-emulator: {situation.name}: {situation.description}")
                status = _run_with(app, settings, command)
                recorder.finish(app.worlds)
                write_file(journals[-1], recorder.read_lines)
            if status and not situation.is_provoking:
                write_line(sys.stderr, f"zof-emulator: {describe_failure(status, recorder)}")
                return status
            if not situation.is_provoking and (warning := check_requests(recorder, settings.scenario)):
                write_line(sys.stderr, f"zof-emulator: {warning}")
            for line in [f"the command ended with {status}", *describe_client(app)]:
                write_line(sys.stderr, f"zof-emulator: {situation.name}: {line}")
        return judge_journals(Path(folder), [journal.name for journal in journals], options)


def _run_with(app: Dispatcher, settings: Settings, command: Sequence[str]) -> int:
    """Serve an application while a command runs; return the exit status of the command."""
    try:
        listeners = listen(settings.host, settings.port)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on port {settings.port}: {error.strerror}; choose another with --port"
        ) from error
    root = f"http://{settings.host}:{listeners[0].getsockname()[1]}"
    with serve_in_thread(app, listeners, answer_unreadable=app.answer_unreadable):
        status = _run(
            command, {**os.environ, **list_client_variables(root, settings.scenario.choose_key(DEFAULT).secret)}
        )
    app.close()
    return status


def _settings(flags: dict[str, Any], port: int) -> Settings:
    unchanged = {"host": "127.0.0.1", "journal": _KEPT_EXCHANGES, "public_url": "", "token": "", "trusted_proxy": ()}
    return build_settings({**flags, **unchanged, "port": port}, find_explicit_flags(click.get_current_context()))


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end, and end the processes that it leaves behind; return its exit status.

    Without a terminal the command leads a process group of its own, so that all of it can be ended. At a terminal it
    stays in ours, so that Ctrl-C and Ctrl-Z reach it as usual. On Linux its orphans are adopted, so that those which
    have left the group are ended too.
    """
    has_orphans = adopt_orphans()
    has_group = hasattr(os, "killpg") and not sys.stdin.isatty()
    with _relay_signals(has_group=has_group) as relay:
        try:
            process = subprocess.Popen(command, env=environment, process_group=0 if has_group else None)  # noqa: S603
        except OSError as error:
            raise click.ClickException(f"cannot start {shlex.join(command)}: {error.strerror}") from error
        relay.attach(process)
        status = process.wait()
        if has_group:
            _end_group(process.pid)
        if has_orphans:
            end_children(_GRACE)
    return status if status >= 0 else _SIGNALLED - status


class _Relay:
    """Passes signals on to a command; those that come before it has started are passed on when it has."""

    def __init__(self, *, has_group: bool) -> None:
        self._has_group = has_group
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        """Pass signals on to this process from now on."""
        self._process = process
        while self._waiting:
            self.receive(self._waiting.pop(0), None)

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on; called as a signal handler."""
        if self._process is None:
            self._waiting.append(number)
            return
        with suppress(ProcessLookupError):
            if self._has_group:
                os.killpg(self._process.pid, number)
            elif number != signal.SIGINT:  # the terminal has sent it to the command too
                self._process.send_signal(number)


@contextmanager
def _relay_signals(*, has_group: bool) -> Iterator[_Relay]:
    """While the block runs, pass the signals that we receive on to a command, which is started in the block.

    A signal that came between its start and our handlers would end us, and leave it behind.
    """
    relay = _Relay(has_group=has_group)
    numbers = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
    before = {number: signal.signal(number, relay.receive) for number in numbers}
    try:
        yield relay
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_group(group: int) -> None:
    """End the processes that a command has left behind: SIGTERM first, SIGKILL after `_GRACE` seconds."""
    until = time.monotonic() + _GRACE
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < until:
            time.sleep(_PAUSE)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def _check_report_formats(text: str) -> str:
    """The formats of a list; `ValueError` if one of them is unknown."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in REPORT_FORMATS:
            raise ValueError(f"unknown report {name!r}: use {', '.join(REPORT_FORMATS)}")
    return ",".join(names)


execute = click.Command(
    "exec",
    context_settings={"allow_interspersed_args": False},
    callback=_execute,
    help=_execute.__doc__,
    params=[
        click.Option(
            ["-p", "--port"],
            default=0,
            show_default=True,
            type=WholeNumber(0, 65_535),
            help="Port to listen on; 0 picks a free one.",
        ),
        *_SHARED,
        click.Option(["--summary"], is_flag=True, help="Print on standard error which operations the command called."),
        click.Option(
            ["--journal"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="File to write the exchanges of all worlds to, as NDJSON.",
        ),
        click.Option(
            ["--check-client"],
            is_flag=True,
            help="Run the command in several situations and have `zof-contracts client` judge what it sends.",
        ),
        click.Option(
            ["--report"],
            type=Parsed("formats", _check_report_formats),
            help=f"Reports of --check-client: {', '.join(REPORT_FORMATS)}; several are separated by commas.  "
            "[default: text]",
        ),
        click.Option(
            ["--report-dir"],
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder for the report files of --check-client.  [default: contract-report]",
        ),
        click.Argument(["command"], nargs=-1, required=True, type=click.UNPROCESSED),
    ],
)
"""The command."""
