"""`zof-emulator serve`: reads flags and environment variables, and serves until a signal ends it."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from zof_emulator.app import create_app
from zof_emulator.cli.detach import DETACH, start_detached
from zof_emulator.cli.environment import quote_host
from zof_emulator.cli.option_types import Parsed, Switch, WholeNumber
from zof_emulator.cli.output import print_line
from zof_emulator.cli.snapshot_files import check_writable, load_snapshot, save_snapshot
from zof_emulator.cli.state import has_detached_emulator, write_token
from zof_emulator.cli.watch import FileWatcher
from zof_emulator.core.config import ClockMode, Envelope, References, check_label, find_field_schema
from zof_emulator.core.scenario import Scenario
from zof_emulator.scenarios.load import UnusableScenario, load_scenario
from zof_emulator.server.run import listen, run
from zof_emulator.server.terminal import (
    Drain,
    Handler,
    Log,
    list_public_keys,
    may_block,
    render_banner,
    render_ready_line,
    write_line,
)
from zof_emulator.settings import (
    BOUNDS,
    Settings,
    check_token,
    parse_host,
    parse_network,
    parse_origin,
    parse_rate,
    parse_url,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from zof_emulator.core.limits import Rate
    from zof_emulator.http.dispatch import Dispatcher
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.scenarios.load import LoadedScenario

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C."""
_LAST_LINES: Final = 0.5
"""Seconds in which the last log lines are written at exit."""
_MOST_BURST: Final = 1_000_000
_TOKEN_BYTES: Final = 24
_SAME_NAME: Final = frozenset(field.name for field in fields(Settings)) - {
    "rate",
    "scenario",
    "environments",
    "envelope",
}
"""The settings whose flags have the same names."""


def _flag(*names: str, **settings: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:  # noqa: ANN401
    """An option that can also be set as `ZOF_EMULATOR_…`."""
    if settings.get("is_flag") or "/" in names[-1]:
        settings["type"] = Switch()
    word = names[-1].removeprefix("--").partition("/")[0].replace("-", "_").upper()
    return click.option(*names, envvar=f"ZOF_EMULATOR_{word}", show_envvar=True, show_default=True, **settings)


def _setting(name: str, *flags: str, **more: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:  # noqa: ANN401
    """The option of an integer setting, with the bounds and the default that the setting has."""
    minimum, maximum = BOUNDS.get(name) or (find_field_schema(name)["minimum"], find_field_schema(name)["maximum"])
    default = getattr(_DEFAULTS, name)
    return _flag(*flags, name, default=default, type=WholeNumber(minimum, maximum), **more)


_DEFAULTS: Final = Settings()
_FIELDS: Final = {"rate_limit": "rate", "environment": "environments", "webhook_envelope": "envelope"}
"""The settings whose flags have other names."""


@click.command()
@_flag("--host", default="127.0.0.1", help="Address to listen on.")
@_setting("port", "-p", "--port", help="Port to listen on; 0 picks a free one.")
@_setting("seed", "--seed", help="Seed for generated IDs and case durations.")
@_flag(
    "--clock",
    default="real",
    type=click.Choice([one.value for one in ClockMode]),
    help="real follows the system's clock; manual starts with 2026 and moves only when a client moves it; "
    "auto also moves when a client polls.",
)
@_flag(
    "--rate-limit",
    default="100/60",
    type=Parsed("off|N/SECONDS[:key|organization]", parse_rate),
    help="Requests that a window admits, counted per key or per organization.",
)
@_flag("--burst", default=0, type=WholeNumber(0, _MOST_BURST), help="Requests that a window admits beyond the limit.")
@_setting("capacity", "--capacity", help="Runs of an organization that run at the same time.")
@_flag(
    "--references",
    default="open",
    type=click.Choice([one.value for one in References]),
    help="open creates the projects, cases and suites that a request names; strict refuses unknown ones.",
)
@_flag(
    "--environment",
    multiple=True,
    type=Parsed("label", check_label),
    help="An environment besides staging and production; may be given more than once.",
)
@_flag(
    "--samples/--no-samples", default=True, help="Whether worlds start with the ended runs of the contract's examples."
)
@_flag(
    "--scenario",
    default="",
    metavar="FILE|NAME",
    help="Scenario that worlds start with: a YAML or JSON file, or the name of a built-in one. "
    "Other options override its settings.",
)
@_flag("--watch", is_flag=True, default=False, help="Restart the default world when the scenario file changes.")
@_flag(
    "--public-url",
    default="",
    type=Parsed("url", parse_url),
    help="Scheme, host and path that links in answers begin with; default: scheme and host of the request.",
)
@_flag(
    "--cors",
    multiple=True,
    type=Parsed("origin", parse_origin),
    help="Origin whose pages may use the emulator, as in http://localhost:3000; may be given more than once.",
)
@_flag(
    "--trusted-proxy",
    multiple=True,
    type=Parsed("address|network", lambda text: str(parse_network(text))),
    help="Proxy whose X-Forwarded-Proto, -Host, -Prefix and -For count; may be given more than once.",
)
@_setting("journal", "--journal", help="Exchanges that the journal of a world keeps; 0 turns it off.")
@_setting("max_worlds", "--max-worlds", help="Largest number of worlds in the process.")
@_setting("max_runs", "--max-runs", help="Ended runs of an organization that a world keeps.")
@_flag(
    "--webhook-envelope",
    default="present",
    type=click.Choice([one.value for one in Envelope]),
    help="Envelope of webhook events; legacy is the older form, without an event ID.",
)
@_flag(
    "--webhook-allow",
    multiple=True,
    type=Parsed("host", parse_host),
    help="Host besides this machine that webhooks are sent to; may be given more than once.",
)
@_flag(
    "--prefer/--no-prefer",
    default=True,
    help="Whether a request may ask for an error or a delay with the header Prefer, as in Prefer: code=429.",
)
@_flag(
    "--evolve/--no-evolve",
    default=False,
    help="Whether answers and events hold fields and values that the API may get without a new version.",
)
@_setting("world_idle", "--world-idle", help="Seconds after which an unused world may be dropped to make room.")
@_flag(
    "--token",
    default="",
    type=Parsed("text", check_token),
    help="Token that /_emulator requires; generated when clients on other machines can connect.",
)
@_flag("--load", default="", help="Snapshot file to start from; with the same --save-on-exit it need not exist yet.")
@_flag("--save-on-exit", default="", help="File to write a snapshot of the default world to on exit.")
@_flag("--log-format", default="text", type=click.Choice(["text", "json"]), help="Format of log lines.")
@_flag("-q", "--quiet", is_flag=True, default=False, help="Print no banner, and only warnings and errors.")
@_flag(
    DETACH,
    is_flag=True,
    default=False,
    help="Start in the background, and return when requests are accepted; stop ends it.",
)
@click.option(
    "--workers",
    envvar="WEB_CONCURRENCY",
    default=1,
    type=int,
    help="Only 1 is possible: several processes would not share state.",
)
def serve(**flags: Any) -> int:  # noqa: ANN401
    """Serve the API on a loopback address."""
    if flags["workers"] != 1:
        raise click.UsageError(
            "only 1 worker process is possible: state is kept in memory, and two processes would each have their own"
        )
    context = click.get_current_context()
    if flags["detach"]:
        print_line(start_detached(context.find_root().obj or sys.argv[1:]))
        return 0
    return _serve(flags, find_explicit_flags(context))


def _serve(flags: dict[str, Any], explicit: Collection[str]) -> int:
    """Serve until a signal ends the process; return the exit status."""
    settings = build_settings(flags, explicit)
    drain = Drain(sys.stderr) if may_block(sys.stderr) else None
    log = Log(flags["log_format"], quiet=flags["quiet"], to=drain or sys.stderr)
    logging.getLogger().addHandler(Handler(log))
    app = create_app(settings, on_exchange=log.on_exchange, on_rate_limited=log.report_rate_limit)
    save_world = _open_files(app.hosted, flags["load"], flags["save_on_exit"])
    watcher = _make_watcher(app, flags, explicit, log) if flags["watch"] else None
    try:
        listeners = listen(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(_explain_listen_error(settings, error)) from error
    host, port = listeners[0].getsockname()[:2]
    base_url = f"http://{quote_host(host)}:{port}/v1"
    token_files: list[Path] = []

    def on_started() -> None:
        _greet(settings, base_url, quiet=flags["quiet"], is_generated=not flags["token"])
        token_file = write_token(port, settings.token)
        token_files.extend([token_file] if token_file else [])
        write_line(sys.stdout, render_ready_line(base_url, host, port, os.getpid(), token_file))
        if watcher is not None:
            watcher.start()

    def on_stopped() -> None:
        if watcher is not None:
            watcher.stop()
        app.close()
        save_world()
        for file in token_files:
            file.unlink(missing_ok=True)

    try:
        run(app, listeners, on_started=on_started, on_stopped=on_stopped, answer_unreadable=app.answer_unreadable)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if drain is not None:
            drain.close(_LAST_LINES)
    return 0


def _open_files(hosted: HostedWorld, source: str, target: str) -> Callable[[], None]:
    """Load the snapshot `source`, if given; return the function that saves the world to `target`, if given.

    If both name the same file and it does not exist yet, the world begins without it.
    """
    if source and (source != target or Path(source).exists()):
        load_snapshot(hosted, Path(source))
    if not target:
        return lambda: None
    file = check_writable(Path(target))
    return lambda: save_snapshot(hosted, file)


def _greet(settings: Settings, base_url: str, *, quiet: bool, is_generated: bool) -> None:
    """Print the banner, or only the token that was generated."""
    if not quiet:
        token = "" if settings.loopback else settings.token
        write_line(
            sys.stderr, render_banner(base_url, list_public_keys(settings.scenario), settings.clock, token=token)
        )
    elif settings.token and is_generated:
        write_line(sys.stderr, f"zof-emulator: token for /_emulator: {settings.token}")


def find_explicit_flags(context: click.Context) -> frozenset[str]:
    """The names of the flags that the command line or the environment gives."""
    given = {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}
    return frozenset(name for name in context.params if context.get_parameter_source(name) in given)


def _make_watcher(app: Dispatcher, flags: dict[str, Any], explicit: Collection[str], output: Log) -> FileWatcher:
    """The watcher that restarts the default world when the scenario file changes."""
    file = Path(flags["scenario"])
    if not file.is_file():
        raise click.UsageError("--watch needs the file of a scenario: give it with --scenario FILE")

    def reload() -> None:
        try:
            config = build_settings(flags, explicit).world
        except UnusableScenario as error:
            output.warn(f"nothing was changed, because the scenario has mistakes: {'; '.join(error.lines)}")
            return
        with app.deliveries.lock:
            app.hosted.reset(config)
        output.warn(f"the default world was restarted with {file}", "info")

    return FileWatcher(file, reload)


def build_settings(flags: dict[str, Any], explicit: Collection[str] = ()) -> Settings:
    """The settings from the flags of `serve` and from the scenario that they name; a token is generated if needed.

    The flags in `explicit` override the settings of the scenario.

    Raises:
        UnusableScenario: the scenario has mistakes, or there is none of this name.
    """
    rate: Rate = flags["rate_limit"]
    named = {name: flags[name] for name in _SAME_NAME}
    settings = Settings(
        **named,
        rate=replace(rate, burst=flags["burst"]),
        scenario=Scenario.DEFAULT if flags["samples"] else Scenario.EMPTY,
        environments=flags["environment"],
        envelope=flags["webhook_envelope"],
    )
    if flags["scenario"]:
        if not flags["samples"]:
            raise click.UsageError("give either --scenario or --no-samples, not both")
        settings = _apply_scenario(load_scenario(flags["scenario"]), settings, explicit)
    if settings.loopback or settings.token:
        return settings
    return replace(settings, token=secrets.token_urlsafe(_TOKEN_BYTES))


def _apply_scenario(loaded: LoadedScenario, settings: Settings, explicit: Collection[str]) -> Settings:
    chosen = loaded.apply(settings, keep={_FIELDS.get(name, name) for name in explicit})
    return replace(chosen, rate=replace(chosen.rate, burst=settings.rate.burst)) if "burst" in explicit else chosen


def _explain_listen_error(settings: Settings, error: OSError | UnicodeError) -> str:
    where = f"{ascii(settings.host)[1:-1]}:{settings.port}"
    why = getattr(error, "strerror", None) or "this is no address"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE and has_detached_emulator(settings.port):
        return (
            f"cannot listen on {where}: an emulator that was started with --detach listens on this port; "
            f"zof-emulator status --port {settings.port} shows it, zof-emulator stop --port {settings.port} ends it"
        )
    return f"cannot listen on {where}: {why}; choose another with --host or --port (0 picks a free port)"
