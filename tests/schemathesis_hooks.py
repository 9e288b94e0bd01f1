"""Hooks for Schemathesis' own command line; `schemathesis.toml` names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

if TYPE_CHECKING:
    from schemathesis.core.failures import Failure

_CURSOR: Final = b'"param":"starting_after"'


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:  # noqa: ANN401, ARG001
    """Keep every failure but one that no schema can rule out: a cursor that was made up is refused.

    A cursor is opaque, and good for the list and the filters that it came from; JSON Schema cannot say so. The links
    of the document say where a good one is to be had, and the stateful phase goes there.
    """
    rejected = isinstance(failure, RejectedPositiveData)
    return not (rejected and "starting_after" in (case.query or {}) and _CURSOR in response.content)
