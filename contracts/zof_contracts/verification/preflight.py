"""The preflight: a few quick requests that show whether the target is an API and accepts the key.

`check_target(client)` returns if one list can be read; what is wrong with the other lists, the rules report. Whether
the target knows the project, the environment, the cases and the suite, `zof_contracts.verification.arguments` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.evidence.findings import quote_value
from zof_contracts.target.client import Unanswered
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Response
    from zof_contracts.target.client import Client

_LISTS: Final = ("/runs", "/results", "/projects")
_SECONDS: Final = 8.0
_LONGEST: Final = 200
_NOT_FOUND: Final = 404


def check_target(client: Client) -> None:
    """Check that the target can be verified.

    Raises:
        Unreachable: it cannot, for a reason that the message gives in one line.
        Stopped: the budget or the target permits no request.
    """
    usual, client.timeout = client.timeout, _SECONDS
    try:
        _check_lists(client)
    finally:
        client.timeout = usual


def _check_lists(client: Client) -> None:
    refusals = []
    for path in _LISTS:
        try:
            refusal = _explain_refusal(client, client.get(path, limit=1))
        except Unanswered as unanswered:
            refusal = f"gives no answer to {path}: {unanswered.exchange.response.flaw}"
        if not refusal:
            return
        refusals.append(refusal)
    raise Unreachable(f"{client.target.base} {refusals[0]}")


def _explain_refusal(client: Client, exchange: Exchange) -> str:  # noqa: PLR0911  one line for each kind of answer
    """Why this answer shows that nothing can be verified; empty if it does not."""
    answer = exchange.response
    kind = (answer.header("content-type") or "").partition(";")[0].strip().lower()
    match answer.status:
        case 401 | 403:
            return f"refuses the key (--key) with {answer.status}: {_quote_message(client, answer)}"
        case status if 300 <= status < 400:  # noqa: PLR2004  what HTTP calls a redirect
            location = client.target.redact(answer.header("location") or "no location")[:_LONGEST]
            return f"redirects to {location}: give that address with --url"
    if answer.ok and answer.json is not None:
        return ""
    if kind == "text/html" or answer.body.lstrip()[:1] == b"<":
        return f"answers {answer.status} with HTML, not JSON: check --url"
    if answer.flaw:
        return f"sends an answer that cannot be read: {answer.flaw}"
    if answer.ok:
        return f"answers {quote_value(kind)}, not JSON ({answer.json_flaw}): check --url"
    if answer.status == _NOT_FOUND:
        return f"answers 404 to {exchange.request.path}: check --url"
    return f"answers {answer.status} to every list, so that nothing can be verified"


def _quote_message(client: Client, answer: Response) -> str:
    message = answer.error.get("message")
    return " ".join(client.target.redact(str(message)).split())[:_LONGEST] if message else "no reason given"
