"""The options of `zof-contracts verify`. Each is also an environment variable and a setting of `contracts.toml`.

`zof_contracts.cli.config` turns the values into a target, rules and a budget.
"""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.numbers import Number, WholeNumber
from zof_contracts.report.curl import name_key_variable
from zof_contracts.target.target import CASES, ENVIRONMENT, KEYS, PROJECT, SUITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

CONFIG_FILE: Final = "contracts.toml"
"""The settings file that is read if the current folder has it."""
PROXY_VARIABLE: Final = "ZOF_CONTRACTS_PROXY_TOKEN"
"""The variable of an option that only `proxy` has."""
REPORT_FORMATS: Final = ("text", "json", "junit", "html", "sarif", "har", "gitlab")
"""The formats that `--report` accepts."""
_DURATION: Final = re.compile("([0-9]{1,6}(?:[.][0-9]{1,3})?)(s|m|)")
_UNITS: Final = {"": 1, "s": 1, "m": 60}
"""Seconds by unit."""
_LONGEST_DURATION: Final = 86_400


class ReportFormats(click.ParamType[Any]):
    """Report formats, separated by commas."""

    name = "text,json,…"

    def __init__(self, formats: Sequence[str] = REPORT_FORMATS) -> None:
        self._formats = formats

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ANN401
        """Return the formats without duplicates, in the order given."""
        words = value.split(",") if isinstance(value, str) else value
        names = tuple(dict.fromkeys(str(word).strip() for word in words if str(word).strip()))
        if unknown := [name for name in names if name not in self._formats]:
            self.fail(f"unknown report {unknown[0]!r}: use {', '.join(self._formats)}", param, ctx)
        return names


class Duration(click.ParamType[float]):
    """A duration in seconds, or with a unit: 15, 15s, 2m."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return the seconds."""
        match = _DURATION.fullmatch(str(value).strip())
        if match is None or (seconds := float(match[1]) * _UNITS[match[2]]) > _LONGEST_DURATION or not seconds:
            self.fail(f"invalid duration {value!r}: use seconds or minutes up to a day, such as 15s or 2m", param, ctx)
        return seconds


def define_option(*names: str, envvar: str = "", **settings: Any) -> Decorator:  # noqa: ANN401
    """Define an option with an environment variable: the one given, else `ZOF_CONTRACTS_` and the option's name."""
    word = names[-1].removeprefix("--").partition("/")[0].replace("-", "_").upper()
    envvar = envvar or f"ZOF_CONTRACTS_{word}"
    return click.option(*names, envvar=envvar, show_envvar=True, show_default=True, **settings)


def _define_key_options() -> list[Decorator]:
    others = [(name, purpose) for name, purpose in KEYS.items() if name != "main"]
    return [
        define_option(
            "--key",
            metavar="KEY",
            envvar=name_key_variable("main"),
            help="API key with every permission that is needed.",
        ),
        *(
            define_option(
                f"--key-{name}", metavar="KEY", envvar=name_key_variable(name), help=f"Additional API key: {purpose}."
            )
            for name, purpose in others
        ),
    ]


_TARGET_OPTIONS: Final = [
    define_option("--url", envvar="ZOF_BASE_URL", help="Base URL of the deployment, with or without /v1."),
    define_option(
        "--app", metavar="MODULE:FACTORY", help="ASGI application to call in this process, instead of a URL."
    ),
    define_option(
        "--ca-file",
        default="",
        metavar="FILE",
        help="File of certificate authorities (PEM) to trust besides the system's, or those of SSL_CERT_FILE.",
    ),
    *_define_key_options(),
    define_option("--project", default=PROJECT, help="ID of the project in which runs are started."),
    define_option("--environment", default=ENVIRONMENT, help="Name of the environment in which runs are started."),
    define_option(
        "--case",
        multiple=True,
        help="ID of a test case that may be run. At least two are needed; repeat the option.",
        default=CASES,
    ),
    define_option("--suite", default=SUITE, help="ID of a test suite that may be run."),
    define_option("--failing-case", default="", help="ID of a test case that fails."),
    define_option("--error-case", default="", help="ID of a test case that ends in error."),
    define_option(
        "--webhook-public-url",
        metavar="URL",
        default="",
        help="URL under which the target reaches this machine's receiver of webhooks, such as that of a tunnel.",
    ),
    define_option(
        "--webhook-port",
        type=WholeNumber(0, 65535),
        default=0,
        help="Loopback port of the receiver of webhooks; 0 picks a free one.",
    ),
]
_PERMISSION_OPTIONS: Final = [
    define_option(
        "--profile",
        type=click.Choice(["read-only", "full"]),
        help="read-only changes nothing; full starts and cancels runs."
        "  [default: full on loopback, read-only elsewhere]",
    ),
    define_option(
        "--i-may-create-runs", is_flag=True, help="Permit the profile full on a target that is not on loopback."
    ),
    define_option(
        "--use-up-quota/--spare-quota",
        default=None,
        help="Permit or forbid using up a rate-limit window of the target."
        "  [default: permitted where the target's clock can be moved]",
    ),
]
_VERIFICATION_OPTIONS: Final = [
    define_option(
        "--budget",
        type=WholeNumber(1),
        metavar="N",
        help="Maximum number of requests, those of the clean-up among them.",
    ),
    define_option(
        "--max-time",
        type=Number(0, min_open=True),
        metavar="S",
        help="Maximum duration in seconds, back-off and clean-up included.",
    ),
    define_option(
        "--patience",
        type=Duration(),
        default="30s",
        help="Time to wait for a run to end. After one run has not ended in it, no later step waits that long again.",
    ),
    define_option(
        "--workers",
        type=WholeNumber(1),
        default=4,
        metavar="N",
        help="Maximum number of random sequences of requests at once, without those that only let time pass. A low rate"
        " limit permits fewer.",
    ),
    define_option("--max-runs", type=WholeNumber(0), metavar="N", help="Maximum number of runs to start."),
    define_option(
        "--seed",
        default=0,
        type=WholeNumber(0),
        help="Seed for generated requests; the same seed sends the same requests.",
    ),
    define_option(
        "--max-examples",
        type=WholeNumber(0),
        metavar="N",
        help="Number of generated examples for each operation and for the model; 0 runs the probes only."
        "  [default: 30]",
    ),
    define_option(
        "--include",
        multiple=True,
        metavar="RULE",
        help="Check only this rule, or the rules that match a pattern such as runs.*. May be repeated.",
    ),
    define_option(
        "--exclude",
        multiple=True,
        metavar="RULE",
        help="Leave out this rule, or the rules that match a pattern. May be repeated.",
    ),
    define_option(
        "--strict", is_flag=True, help="Fail for differences from assumptions too, and report undocumented fields."
    ),
    define_option(
        "--fail-under",
        type=Number(0, 100),
        metavar="PERCENT",
        default=0.0,
        help="Fail if fewer than this percentage of the selected rules were exercised.",
    ),
    define_option(
        "--baseline",
        type=click.Path(dir_okay=False, path_type=Path),
        help="JSON report of an earlier verification, whose findings do not fail again.",
    ),
    define_option(
        "--report",
        type=ReportFormats(),
        default="text",
        help=f"Reports to write: {', '.join(REPORT_FORMATS)}. text goes to standard output, the others to files.",
    ),
    define_option(
        "--report-dir",
        default="contract-report",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for the report files.",
    ),
    define_option(
        "--quiet",
        is_flag=True,
        help="Print no progress, and of the text report only the findings and the outcome. Notes about what was tested"
        " still go to standard error.",
    ),
]


def _read_config_file(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Use the file's values as defaults."""
    if path is None and not Path(CONFIG_FILE).is_file():
        return
    name, path = (f"--config {path}", path) if path else (CONFIG_FILE, Path(CONFIG_FILE))
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"cannot read {name}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"cannot read {name}: it is no TOML: {error}") from error
    known = {name.removeprefix("--"): each for each in ctx.command.params for name in each.opts if name != "--help"}
    values = {}
    for setting, value in settings.items():
        option = known.get(setting.replace("_", "-"))
        if option is None or option.name is None:
            raise click.UsageError(f"unknown setting {setting!r} in {path}{suggest(setting, known)}")
        values[option.name] = _check_setting(path, setting, option, value)
    ctx.default_map = values


def _check_setting(path: Path, name: str, option: click.Parameter, value: object) -> object:
    """Return the value of a setting as click takes it.

    Raises:
        click.UsageError: it has a type that the option does not have.
    """
    is_list = option.multiple or isinstance(option.type, ReportFormats)
    if is_list and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    if is_list:
        expected: tuple[type, ...] = (str,)
    elif getattr(option, "is_flag", False):
        expected = (bool,)
    elif isinstance(option.type, click.types.FloatParamType):
        expected = (int, float)
    else:
        expected = (int,) if isinstance(option.type, click.types.IntParamType) else (str,)
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        kinds = {str: "a string", bool: "true or false", int: "a number", float: "a number"}
        wanted = "a list of strings" if is_list else kinds[expected[0]]
        raise click.UsageError(f"invalid value of {name!r} in {path}: use {wanted}")
    return [value] if option.multiple else value


def add_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add every option of `verify` to a command."""
    config = define_option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_read_config_file,
        help=f"TOML file with these options, named without dashes.  [default: {CONFIG_FILE} if it exists]",
    )
    for option in reversed([*_TARGET_OPTIONS, *_PERMISSION_OPTIONS, *_VERIFICATION_OPTIONS, config]):
        command = option(command)
    return command


def add_target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a target, and what is permitted there, to a command."""
    for option in reversed([*_TARGET_OPTIONS, *_PERMISSION_OPTIONS]):
        command = option(command)
    return command


def suggest(word: str, words: Iterable[str]) -> str:
    """Return " (did you mean …?)" for the most similar of the words; empty if none is similar."""
    close: Sequence[str] = get_close_matches(word, list(words), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
