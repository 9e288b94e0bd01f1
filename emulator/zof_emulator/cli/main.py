"""The command line: flags and environment to settings, and the exit code; 0 fine, 2 could not, 130 interrupted."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_emulator.app import create_app
from zof_emulator.cli.replay import replay
from zof_emulator.cli.snapshot_files import UnusableFile, check_writable, load, read, save
from zof_emulator.control.operations import installed_version
from zof_emulator.core.limits import Rate
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.server.run import listen, run
from zof_emulator.server.terminal import Drain, Handler, Log, banner, may_block, ready_line, say
from zof_emulator.settings import Settings, label_from, rate_from, url_from
from zof_emulator.spec.document import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zof_emulator.http.hosted_world import HostedWorld

_COULD_NOT: Final = 2
_INTERRUPTED: Final = 130
_LAST_LINES: Final = 0.5
"""Seconds that the log may take to be read to its end."""
_LONGEST_SEED: Final = 2**63 - 1
_TOKEN_BYTES: Final = 24


class _Parsed(click.ParamType[Any]):
    """A value that a function of ours reads, and refuses with `ValueError`."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """The value, read."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _flag(*names: str, **settings: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:  # noqa: ANN401
    """An option that can also be set as `ZOF_EMULATOR_…`."""
    word = names[-1].removeprefix("--").partition("/")[0].replace("-", "_").upper()
    return click.option(*names, envvar=f"ZOF_EMULATOR_{word}", show_envvar=True, show_default=True, **settings)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(installed_version(), prog_name="zof-emulator")
def _commands() -> None:
    """A stand-in for the Zof API, in memory and deterministic."""


@_commands.command()
@_flag("--host", default="127.0.0.1", help="Address to listen on.")
@_flag("-p", "--port", default=9630, type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one.")
@_flag("--seed", default=0, type=click.IntRange(0, _LONGEST_SEED), help="What tells IDs and durations.")
@_flag(
    "--clock",
    default="real",
    type=click.Choice(["real", "manual", "auto"]),
    help="Follow the system's clock; or begin with 2026 and move only when told, or also when polled.",
)
@_flag(
    "--rate-limit",
    default="100/60",
    type=_Parsed("off|N/SECONDS[:key|organization]", rate_from),
    help="Requests that a window admits, by key or by organization.",
)
@_flag("--burst", default=0, type=click.IntRange(0, 1_000_000), help="Requests beyond the limit that a window admits.")
@_flag("--capacity", default=4, type=click.IntRange(1, 10_000), help="Runs of an organization that run at once.")
@_flag(
    "--references",
    default="open",
    type=click.Choice(["open", "strict"]),
    help="Whether projects, cases and suites come into being when they are named.",
)
@_flag(
    "--environment",
    multiple=True,
    type=_Parsed("label", label_from),
    help="An environment besides staging and production; may be given more than once.",
)
@_flag("--samples/--no-samples", default=True, help="Whether to hold the ended runs that the contract's examples show.")
@_flag("--public-url", default="", type=_Parsed("url", url_from), help="What links in answers begin with.")
@_flag("--journal", default=1_000, type=click.IntRange(0, 1_000_000), help="Exchanges that a world remembers.")
@_flag("--max-worlds", default=1_000, type=click.IntRange(1, 100_000), help="How many worlds there may be.")
@_flag(
    "--max-runs",
    default=100_000,
    type=click.IntRange(1, 10_000_000),
    help="Ended runs of an organization that a world keeps.",
)
@_flag(
    "--world-idle",
    default=3_600,
    type=click.IntRange(1, 10_000_000),
    help="Seconds until a world that nobody asks for makes room.",
)
@_flag("--token", default="", help="What /_emulator asks for; made up when others on the network can reach it.")
@_flag("--load", default="", help="A snapshot to begin with.")
@_flag("--save-on-exit", default="", help="Where to write a snapshot of the default world at the end.")
@_flag("--log-format", default="text", type=click.Choice(["text", "json"]), help="How log lines look.")
@_flag("--quiet", is_flag=True, default=False, help="No banner, and no log line that is no warning.")
@click.option(
    "--workers", envvar="WEB_CONCURRENCY", default=1, type=int, help="1; more would each have a state of their own."
)
def serve(**flags: Any) -> int:  # noqa: ANN401
    """Serve the API on a loopback address."""
    if flags["workers"] != 1:
        raise click.UsageError(
            "only 1 worker process is possible: state is kept in memory, and two processes would each have their own"
        )
    settings = settings_from(flags)
    drain = Drain(sys.stderr) if may_block(sys.stderr) else None
    log = Log(flags["log_format"], quiet=flags["quiet"], to=drain or sys.stderr)
    logging.getLogger().addHandler(Handler(log))
    app = create_app(settings, on_exchange=log.on_exchange, on_rate_limited=log.report_rate_limit)
    stopped = _kept(app.hosted, flags["load"], flags["save_on_exit"])
    try:
        listener = listen(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(_why_not(settings, error)) from error
    host, port = listener.getsockname()[:2]
    base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    def started() -> None:
        _greet(settings, base_url, quiet=flags["quiet"], made_up=not flags["token"])
        say(sys.stdout, ready_line(base_url, host, port, os.getpid()))

    try:
        run(app, listener, started=started, stopped=stopped, answer_unreadable=app.answer_unreadable)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        if drain is not None:
            drain.close(_LAST_LINES)
    return 0


def _kept(hosted: HostedWorld, source: str, target: str) -> Callable[[], None]:
    """Load what there is to load; what saves the world at the end, if it is to be saved."""
    if source:
        load(hosted, Path(source))
    if not target:
        return lambda: None
    check_writable(Path(target))
    return lambda: save(hosted, Path(target))


def _greet(settings: Settings, base_url: str, *, quiet: bool, made_up: bool) -> None:
    """Say where it is; and the token for what only its owner may do, where that was made up."""
    if not quiet:
        token = "" if settings.loopback else settings.token
        say(sys.stderr, banner(base_url, DEFAULT, settings.clock, token=token))
    elif settings.token and made_up:
        say(sys.stderr, f"zof-emulator: token for /_emulator: {settings.token}")


@_commands.command("replay")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Say what differs as JSON.")
def _replay(file: Path, *, as_json: bool) -> int:
    """Send a journal to a fresh world, and compare the answers byte for byte.

    FILE is what GET /_emulator/journal.ndjson gave. Exit status: 0 all the same, 1 differences, 2 could not.
    """
    found = replay(read(file))
    say(sys.stdout, found.as_json() if as_json else found.as_text())
    return int(bool(found.differing))


def settings_from(flags: dict[str, Any]) -> Settings:
    """The settings that the flags of `serve` name."""
    rate: Rate = flags["rate_limit"]
    found = Settings(
        host=flags["host"],
        port=flags["port"],
        seed=flags["seed"],
        clock=flags["clock"],
        rate=Rate(rate.limit, rate.window_ms, rate.scope, flags["burst"]),
        capacity=flags["capacity"],
        references=flags["references"],
        environments=flags["environment"],
        samples=flags["samples"],
        public_url=flags["public_url"],
        token=flags["token"],
        journal=flags["journal"],
        max_worlds=flags["max_worlds"],
        max_runs=flags["max_runs"],
        world_idle=flags["world_idle"],
    )
    if found.loopback or found.token:
        return found
    return replace(found, token=secrets.token_urlsafe(_TOKEN_BYTES))


def _why_not(settings: Settings, error: OSError | UnicodeError) -> str:
    where = f"{ascii(settings.host)[1:-1]}:{settings.port}"
    why = getattr(error, "strerror", None) or "this is no address"
    return f"cannot listen on {where}: {why}; choose another with --host or --port (0 picks a free port)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 2 could not do its job, 130 interrupted."""
    try:
        code = _commands.main(arguments, prog_name="zof-emulator", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message())
    except SpecError as error:
        _fail(f"the contract cannot be used: {error}")
    except UnusableFile as error:
        _fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        sys.exit(_INTERRUPTED)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> None:
    say(sys.stderr, f"zof-emulator: error: {' '.join(message.split())}")
    sys.exit(_COULD_NOT)
