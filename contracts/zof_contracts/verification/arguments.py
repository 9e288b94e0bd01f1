"""Tells a wrong argument from a defect: the first requests with a value of the user show whether the target accepts it.

A target that refuses the user's project, environment, cases, suite or URL for webhooks, or does not let the key start
runs, breaks no rule. The check sends nothing: it observes the verification's own requests until each value has been
accepted once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.evidence.strict_json import parse_json
from zof_contracts.target.account import starts_run
from zof_contracts.target.budget import WrongArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Exchange, Response
    from zof_contracts.target.target import Target

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_INVALID: Final = frozenset({400, 422})
_DOCUMENTED: Final = frozenset({("environment", "staging"), ("environment", "production")})
"""Values that are in every deployment, whatever the user gave."""
_CASES: Final = "test_case_ids"
"""The one field of a start that is an array."""
_FORMS: Final = tuple({"project_id", "environment", name} for name in (_CASES, "test_suite_id"))
"""The fields of a start; the probes send others, which a deployment must refuse."""
_URL: Final = "url"
_LONGEST: Final = 200

Value = tuple[str, str]
"""A field of a request, and one value of it."""


class ArgumentCheck:
    """Observes the requests that hold nothing but values of the user."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._options: dict[Value, str] = {
            ("project_id", target.project): "--project",
            ("environment", target.environment): "--environment",
            **{("test_case_ids", case): "--case" for case in target.cases},
            ("test_suite_id", target.suite): "--suite",
        }
        """The option that gives each value."""
        for option, case in (("--failing-case", target.failing_case), ("--error-case", target.error_case)):
            if case:
                self._options.setdefault(("test_case_ids", case), option)
        self._untested = set(self._options)
        """The values that the target has not accepted yet."""
        self._has_started = False
        """Whether any start with values of the user has succeeded."""

    def __call__(self, exchange: Exchange) -> None:
        """Judge one exchange.

        Raises:
            WrongArgument: its request is refused because of an argument.
        """
        request, answer = exchange.request, exchange.response
        if request.query or request.key != "main":
            return
        if exchange.operation == "createWebhook":
            self._check_webhook(_read_body(request.body), answer)
        elif self._untested and starts_run(request):
            self._check_start(_read_body(request.body), answer)

    def _check_start(self, body: Any, answer: Response) -> None:  # noqa: ANN401  a JSON value
        given = list(_list_values(body))
        if (
            {name for name, _ in given} not in _FORMS
            or len(set(given)) < len(given)
            or not set(given) <= self._options.keys() | _DOCUMENTED
        ):
            return
        if answer.ok:
            self._untested -= set(given)
            self._has_started = True
        elif self._untested & set(given) and (reason := self._explain(given, answer)):
            self._refuse(reason, answer)

    def _explain(self, given: list[Value], answer: Response) -> str:
        """Which argument the refusal is about; empty if it may be a defect."""
        if answer.status == _FORBIDDEN:
            return "" if self._has_started else "does not let the key (--key) start runs"
        if answer.status != _NOT_FOUND and answer.status not in _INVALID:
            return ""
        if named := _find_named(given, answer):
            return f"refuses {self._describe(named)}" if self._untested & set(named) else ""
        if answer.status == _NOT_FOUND:
            return f"does not know one of {self._describe(given)}"
        return ""

    def _describe(self, values: list[Value]) -> str:
        """Name values with their options."""
        options: dict[str, list[str]] = {}
        for value in values:
            if value in self._options:
                options.setdefault(self._options[value], []).append(value[1])
        return ", ".join(f"{option} {', '.join(texts)}" for option, texts in options.items())

    def _check_webhook(self, body: Any, answer: Response) -> None:  # noqa: ANN401  a JSON value
        public_url = self._target.webhook_public_url
        url = body.get(_URL) if public_url and isinstance(body, dict) else None
        is_own = isinstance(url, str) and url.startswith(f"{public_url.rstrip('/')}/")
        if is_own and answer.status in _INVALID and answer.error.get("param") == _URL:
            self._refuse(f"refuses --webhook-public-url {public_url}", answer)

    def _refuse(self, reason: str, answer: Response) -> None:
        message = answer.error.get("message")
        said = " ".join(self._target.redact(str(message)).split())[:_LONGEST] if message else "no reason given"
        raise WrongArgument(f"{self._target.base} {reason}; it answers {answer.status}: {said}")


def _read_body(body: bytes) -> Any:  # noqa: ANN401  a JSON value
    try:
        return parse_json(body)
    except ValueError:
        return None


def _list_values(body: Any) -> Iterator[Value]:  # noqa: ANN401  a JSON value
    """Yield the values of a start, each item of an array by itself; a value of a wrong type is empty."""
    for name, value in body.items() if isinstance(body, dict) else ():
        is_array = isinstance(value, list)
        for each in value if is_array else [value]:
            yield name, each if isinstance(each, str) and is_array is (name == _CASES) else ""


def _find_named(given: list[Value], answer: Response) -> list[Value]:
    """The values that an error names, by `param` or by a value in its message; else none."""
    param, message = answer.error.get("param"), answer.error.get("message")
    name, _, index = param.partition("[") if isinstance(param, str) else ("", "", "")
    if values := [value for value in given if value[0] == name]:
        return next(([value] for place, value in enumerate(values) if index == f"{place}]"), values)
    return next(([value] for value in given if isinstance(message, str) and value[1] and value[1] in message), [])
