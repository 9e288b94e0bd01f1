"""Tells a wrong argument from a defect: the first run that is started shows whether the target knows what was given.

A target that refuses the user's project, environment, cases or suite, or does not let the key start runs, breaks no
rule. The check sends nothing: it observes the verification's own starts until one of each kind has succeeded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.evidence.strict_json import parse_json
from zof_contracts.target.account import starts_run
from zof_contracts.target.budget import Stopped

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Response
    from zof_contracts.target.target import Target

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_INVALID: Final = frozenset({400, 422})
_OPTIONS: Final = {
    "project_id": "--project",
    "environment": "--environment",
    "test_case_ids": "--case",
    "test_suite_id": "--suite",
}
"""The option that gives each field of a start."""
_LONGEST: Final = 200


class WrongArgument(Stopped):
    """The target refuses what the user gave; the message names the option."""


class ArgumentCheck:
    """Observes starts with the user's own project, environment, and cases or suite."""

    def __init__(self, target: Target) -> None:
        self._target = target
        own = {"project_id": target.project, "environment": target.environment}
        self._unknown = [{**own, "test_case_ids": list(target.cases)}, {**own, "test_suite_id": target.suite}]
        """The starts of which none has succeeded yet."""

    def __call__(self, exchange: Exchange) -> None:
        """Judge one exchange.

        Raises:
            WrongArgument: it is such a start, and is refused because of an argument.
        """
        request, answer = exchange.request, exchange.response
        if not self._unknown or not starts_run(request) or request.query or request.key != "main":
            return
        body = _read_body(request.body)
        if body not in self._unknown:
            return
        if answer.ok:
            self._unknown.remove(body)
        elif reason := self._explain(body, answer):
            raise WrongArgument(f"{self._target.base} {reason}; it answers {answer.status}: {self._quote(answer)}")

    def _explain(self, given: dict[str, Any], answer: Response) -> str:
        """Which argument the refusal is about; empty if it may be a defect."""
        if answer.status == _FORBIDDEN:
            return "does not let the key (--key) start runs"
        if answer.status != _NOT_FOUND and answer.status not in _INVALID:
            return ""
        field, value = _find_field(given, answer)
        if field:
            return f"refuses {_OPTIONS[field]} {value}"
        if answer.status == _NOT_FOUND:
            return (
                f"does not know one of {', '.join(f'{_OPTIONS[name]} {_show(each)}' for name, each in given.items())}"
            )
        return ""

    def _quote(self, answer: Response) -> str:
        message = answer.error.get("message")
        return " ".join(self._target.redact(str(message)).split())[:_LONGEST] if message else "no reason given"


def _read_body(body: bytes) -> Any:  # noqa: ANN401  a JSON value
    try:
        return parse_json(body)
    except ValueError:
        return None


def _find_field(given: dict[str, Any], answer: Response) -> tuple[str, str]:
    """The field that an error names, by `param` or by its value in the message, and its value; else empty."""
    param, message = answer.error.get("param"), answer.error.get("message")
    name, _, index = param.partition("[") if isinstance(param, str) else ("", "", "")
    if name in given:
        items = dict(enumerate(given[name])) if isinstance(given[name], list) else {}
        return name, next((item for place, item in items.items() if index == f"{place}]"), _show(given[name]))
    for field, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(message, str) and each in message:
                return field, each
    return "", ""


def _show(value: Any) -> str:  # noqa: ANN401  a field of a start
    return ", ".join(value) if isinstance(value, list) else str(value)
