"""The outcome of a request: its answer, and what the journal and the log record about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from zof_emulator.handlers.messages import Encoded
from zof_emulator.http import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.core.faults import FaultMark
    from zof_emulator.core.refusal import Refused
    from zof_emulator.journal.ring import DelayedArrival
    from zof_emulator.spec.operation import Refusal

    Headers = tuple[tuple[bytes, bytes], ...]

_JSON: Final = (b"content-type", b"application/json")


class Outcome(NamedTuple):
    """The answer to a request, and what the journal and the listeners record about it."""

    encoded: Encoded
    organization: str = ""
    """The organization of the key; empty without a valid key."""
    reason: str = ""
    """Why the request was refused; empty if it was not."""
    limits: Headers = ()
    """The headers of the rate limit."""
    fault: FaultMark | None = None
    """The fault that answered; None if none did."""
    arrival: DelayedArrival | None = None
    """When the request came; None if it was carried out at once."""


def encode_refusal(reasons: Mapping[str, Refusal], refused: Refused) -> Encoded:
    """The answer to a refused request.

    Raises:
        KeyError: the document does not word the reason, which a test rules out.
    """
    refusal = reasons[refused.reason]
    content = encode.encode_json(refusal.build_error(refused))
    headers = [_JSON, (b"content-length", b"%d" % len(content))]
    if refusal.code == "unauthorized":
        headers.append((b"www-authenticate", b"Bearer"))
    if "seconds" in refused.values:
        headers.append((b"retry-after", str(refused.values["seconds"]).encode()))
    if refusal.code == "range_not_satisfiable":
        headers.append((b"content-range", f"bytes */{refused.values['size']}".encode()))
    return Encoded(refusal.status, tuple(headers), content)
