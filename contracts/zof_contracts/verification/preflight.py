"""The preflight: a few quick requests that show whether the target is an API and accepts the key.

`check_target(client)` returns if one list can be read; what is wrong with the other lists, the rules report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.evidence.exchange import HttpTransport, Unreachable
from zof_contracts.evidence.findings import quote_value

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.target.client import Client

_LISTS: Final = ("/runs", "/results", "/projects")
_SECONDS: Final = 8.0
_LONGEST: Final = 200


def check_target(client: Client) -> None:
    """Check that the target can be verified.

    Raises:
        Unreachable: it cannot, for a reason that the message gives in one line.
        Stopped: the budget or the target permits no request.
    """
    usual = client.transport
    if isinstance(usual, HttpTransport):
        client.transport = HttpTransport(client.target.base, timeout=_SECONDS)
    try:
        refusals = []
        for path in _LISTS:
            refusal = _refusal(client, client.get(path, limit=1))
            if not refusal:
                return
            refusals.append(refusal)
    finally:
        if isinstance(client.transport, HttpTransport):
            client.transport.close()
        client.transport = usual
    raise Unreachable(f"{client.target.base} {refusals[0]}")


def _refusal(client: Client, exchange: Exchange) -> str:
    """Return why this answer shows that nothing can be verified; empty if it does not."""
    answer = exchange.response
    kind = (answer.header("content-type") or "").partition(";")[0].strip().lower()
    match answer.status:
        case 401 | 403:
            message = answer.error.get("message")
            reason = client.target.redact(str(message))[:_LONGEST] if message else "no reason given"
            return f"refuses the key with {answer.status}: {reason}"
        case status if 300 <= status < 400:  # noqa: PLR2004  what HTTP calls a redirect
            location = client.target.redact(answer.header("location") or "no location")[:_LONGEST]
            return f"redirects to {location}: give that address with --url"
    if kind == "text/html" or answer.body.lstrip()[:1] == b"<":
        return f"answers {answer.status} with HTML, not JSON: check --url"
    if answer.ok:
        return "" if answer.json is not None else f"answers {quote_value(kind)}, not JSON: check --url"
    if answer.status == 404:  # noqa: PLR2004  the documented status
        return f"answers 404 to {exchange.request.path}: check --url"
    return f"answers {answer.status} to every list, so that nothing can be verified"
