"""Hooks for the command line of Schemathesis: the failures that it reports of a deployment that keeps the contract.

`SCHEMATHESIS_HOOKS=zof_contracts.schemathesis_hooks st run URL` loads them in any folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

if TYPE_CHECKING:
    from schemathesis.core.failures import Failure

_OPEN: Final = ("starting_after", "environment")
"""The inputs whose valid values only the deployment knows."""


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:  # noqa: ANN401, ARG001
    """Keep every failure except that a generated cursor or environment is refused.

    A cursor is opaque, and valid only for the list and the filters that it came from; an environment may be a label of
    the organization. JSON Schema cannot state either, so Schemathesis generates values that match the schema and takes
    the 400 for a failure. The links of the document lead to valid cursors, and the stateful phase follows them.
    """
    if not isinstance(failure, RejectedPositiveData):
        return True
    body = case.body if isinstance(case.body, dict) else {}
    given = {*(case.query or {}), *body}
    content = response.content.replace(b" ", b"")
    return not any(name in given and f'"param":"{name}"'.encode() in content for name in _OPEN)
