"""Hooks for the command line of Schemathesis: the failures that it reports of a deployment that keeps the contract.

`SCHEMATHESIS_HOOKS=zof_contracts.schemathesis_hooks st run URL` loads them in any folder.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

if TYPE_CHECKING:
    from schemathesis.core.failures import Failure

_OPEN: Final = ("starting_after", "environment")
"""The inputs whose valid values only the deployment knows."""


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:  # noqa: ANN401, ARG001
    """Keep every failure, except that a generated cursor, environment or impossible URL is refused.

    A cursor is opaque, and valid only for the list and the filters that it came from; an environment may be a label of
    the organization; the pattern of a URL admits brackets without an IPv6 address, and ports that do not exist. JSON
    Schema cannot state these, so Schemathesis generates values that match the schema and takes the 400 for a failure.
    The links of the document lead to valid cursors, and the stateful phase follows them.
    """
    if not isinstance(failure, RejectedPositiveData):
        return True
    body = case.body if isinstance(case.body, dict) else {}
    given = {*(case.query or {}), *body}
    content = response.content.replace(b" ", b"")
    names = [*_OPEN, *(["url"] if "url" in body and not _is_url(body["url"]) else [])]
    return not any(name in given and f'"param":"{name}"'.encode() in content for name in names)


def _is_url(value: Any) -> bool:  # noqa: ANN401  a JSON value
    """Whether a value is a URL whose host and port can exist."""
    try:
        parts = urlsplit(value)
        has_port = parts.port != 0
        if ":" in (parts.hostname or "") or "[" in parts.netloc:
            IPv6Address(parts.hostname or "")
    except (AttributeError, TypeError, ValueError):
        return False
    else:
        return bool(parts.hostname) and has_port
