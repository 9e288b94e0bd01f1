"""Before anything is judged: is there an API at all, and does it take the key? A few requests, within seconds.

Plug in: `preflight(client)` returns when there is something to verify, and raises `Unreachable` with one clear line,
or `Stopped`, when there is not. One list that works is enough; what is wrong with the others is for the rules to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.checks.schemas import mask
from zof_contracts.target.transport import HttpTransport, Unreachable

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.target.client import Client

_LISTS: Final = ("/runs", "/results", "/projects")
_SECONDS: Final = 8.0
_LONGEST: Final = 200


def preflight(client: Client) -> None:
    """Find out whether the target can be verified."""
    quick = client.transport
    if isinstance(quick, HttpTransport):
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
        client.transport = quick
    raise Unreachable(f"{client.target.base} {refusals[0]}")


def _refusal(client: Client, exchange: Exchange) -> str:
    """Why nothing can be verified, by one answer; empty when it can."""
    answer = exchange.response
    kind = (answer.header("content-type") or "").partition(";")[0].strip().lower()
    match answer.status:
        case 401 | 403:
            said = answer.error.get("message")
            told = client.target.redact(str(said))[:_LONGEST] if said else "no reason given"
            return f"refuses the key with {answer.status}: {told}"
        case status if 300 <= status < 400:  # noqa: PLR2004  what HTTP calls a redirect
            place = client.target.redact(answer.header("location") or "nowhere")[:_LONGEST]
            return f"redirects to {place}; name the place itself with --url"
    if kind == "text/html" or answer.body.lstrip()[:1] == b"<":
        return f"answers {answer.status} with HTML, as no API does; is --url right?"
    if answer.ok:
        return "" if answer.json is not None else f"answers {mask(kind)}, not JSON; is --url right?"
    if answer.status == 404:  # noqa: PLR2004  the documented status
        return f"knows no {exchange.request.path}; is --url right?"
    return f"answers {answer.status} to everything; there is nothing to verify"
