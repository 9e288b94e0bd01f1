"""The flags of `zof-contracts verify`, each an environment variable and a key of `contracts.toml` too.

Light on purpose: pytest loads this in every run of whoever has installed the harness. What flags mean is for `asked`.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.report.curl import variable
from zof_contracts.target.target import CASES, ENVIRONMENT, KEYS, PROJECT, SUITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FILE: Final = "contracts.toml"
"""The file that is read when it is there."""
FORMS: Final = ("text", "json", "junit", "html", "sarif", "har")
"""The reports that there are."""


class Forms(click.ParamType[Any]):
    """Names of reports with commas between."""

    name = "text,json,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ANN401
        """The names, each once."""
        words = value.split(",") if isinstance(value, str) else value
        names = tuple(dict.fromkeys(str(word).strip() for word in words if str(word).strip()))
        if unknown := [name for name in names if name not in FORMS]:
            self.fail(f"{unknown[0]!r} is no report; there are {', '.join(FORMS)}", param, ctx)
        return names


def flag(*names: str, envvar: str = "", **settings: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:  # noqa: ANN401
    """An option that is an environment variable too: the one named, else `ZOF_CONTRACTS_…`."""
    word = names[-1].removeprefix("--").partition("/")[0].replace("-", "_").upper()
    envvar = envvar or f"ZOF_CONTRACTS_{word}"
    return click.option(*names, envvar=envvar, show_envvar=True, show_default=True, **settings)


def _keys() -> list[Callable[[Callable[..., None]], Callable[..., None]]]:
    others = [(name, told) for name, told in KEYS.items() if name != "main"]
    return [
        flag("--key", metavar="KEY", envvar=variable("main"), help="The key that may do everything that is tried."),
        *(flag(f"--key-{name}", metavar="KEY", envvar=variable(name), help=f"A key: {told}.") for name, told in others),
    ]


_WHERE: Final = [
    flag("--url", envvar="ZOF_BASE_URL", help="The deployment's address, with or without /v1."),
    flag("--app", metavar="MODULE:FACTORY", help="An ASGI application to call in process, instead of an address."),
    *_keys(),
    flag("--project", default=PROJECT, help="The project in which runs are started."),
    flag("--environment", default=ENVIRONMENT, help="The environment in which they are."),
    flag(
        "--case",
        multiple=True,
        help="A test case that may be run; two at least.",
        default=CASES,
    ),
    flag("--suite", default=SUITE, help="A test suite that may be run."),
    flag("--failing-case", default="", help="A test case that fails."),
    flag("--error-case", default="", help="A test case that ends in error."),
]
_HOW: Final = [
    flag(
        "--profile",
        type=click.Choice(["read-only", "full"]),
        help="Change nothing, or start and cancel runs.  [default: full on loopback, read-only elsewhere]",
    ),
    flag(
        "--i-may-create-runs", is_flag=True, help="Leave to use the profile full on a target that is not on loopback."
    ),
    flag(
        "--use-up-quota/--spare-quota",
        default=None,
        help="Whether a rate-limit window may be used up.  [default: where the target's clock can be moved]",
    ),
    flag("--budget", type=click.IntRange(1), metavar="N", help="Requests that may be sent."),
    flag("--max-time", type=click.FloatRange(0, min_open=True), metavar="S", help="Seconds that it may take."),
    flag("--max-runs", type=click.IntRange(0), metavar="N", help="Runs that may be started."),
    flag("--seed", default=0, type=click.IntRange(0), help="What chance goes by; the same seed tries the same."),
    flag(
        "--max-examples",
        type=click.IntRange(0),
        metavar="N",
        help="Inputs made up; 0 leaves it at the probes.  [default: 30]",
    ),
    flag("--include", multiple=True, metavar="RULE", help="Only this rule, or those that a pattern like runs.* names."),
    flag("--exclude", multiple=True, metavar="RULE", help="Without this rule, or those that a pattern names."),
    flag("--strict", is_flag=True, help="Differences fail too, and undocumented fields are named."),
    flag("--baseline", type=click.Path(dir_okay=False, path_type=Path), help="A JSON report; what it has is no news."),
    flag("--report", type=Forms(), default="text", help=f"What to write: {', '.join(FORMS)}; text is printed."),
    flag(
        "--report-dir",
        default="contract-report",
        type=click.Path(file_okay=False, path_type=Path),
        help="The folder of the reports that are files.",
    ),
]


def _read(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Let the file's values be the defaults."""
    if path is None and not Path(FILE).is_file():
        return
    path = path or Path(FILE)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error
    known = {name.removeprefix("--"): each for each in ctx.command.params for name in each.opts if name != "--help"}
    values = {}
    for name, value in given.items():
        option = known.get(name.replace("_", "-"))
        if option is None or option.name is None:
            raise click.UsageError(f"{path} says {name!r}, which is no option{meant(name, known)}")
        values[option.name] = [value] if option.multiple and isinstance(value, str) else value
    ctx.default_map = values


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Every option of `verify`."""
    config = flag(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_read,
        help=f"A file of these options, without their dashes.  [default: {FILE} if it is there]",
    )
    for option in reversed([*_WHERE, *_HOW, config]):
        command = option(command)
    return command


def meant(word: str, words: Iterable[str]) -> str:
    """A guess at what somebody meant, to end a message with; empty when there is none."""
    close: Sequence[str] = get_close_matches(word, list(words), 1)
    return f", did you mean {close[0]!r}?" if close else ""
