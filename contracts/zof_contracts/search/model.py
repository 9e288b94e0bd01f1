"""A pure model of the contract: what is known of the runs that were started, and what must follow from it.

`Model(load_contract())` knows no client. Each method takes what was answered and returns claims, most of them from
`zof_contracts.checks.claims`; whoever drives a target records them in a ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zof_contracts.checks.claims import (
    check_cancel,
    check_canceled_outcomes,
    check_initial_status,
    check_new_run,
    check_no_results,
    check_refused_cancel,
    check_replay,
    check_results,
    check_reused_key,
    check_start,
    check_unchanged,
    has_ended,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zof_contracts.evidence.exchange import Response
    from zof_contracts.evidence.findings import Claim

JsonObject = dict[str, Any]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to an idempotency key."""

    body: object
    is_spaced: bool
    """Whether the body was sent with spaces and in another order."""
    response: Response


@dataclass(slots=True)
class Model:
    """The runs that exist, and the answers that idempotency keys must repeat."""

    runs: set[str] = field(default_factory=set)
    answers: dict[str, StoredAnswer] = field(default_factory=dict)

    def record_start(self, response: Response) -> Iterator[Claim]:
        """A run was started without an idempotency key."""
        yield check_start(response)
        run_id = response.fields.get("id")
        if response.ok and isinstance(run_id, str):
            yield check_new_run(run_id, self.runs)
            yield check_initial_status(response.fields)
            self.runs.add(run_id)

    def record_keyed_start(self, key: str, body: object, response: Response, *, is_spaced: bool) -> Iterator[Claim]:
        """A run was started with an idempotency key: for the first time, again, or with another body."""
        stored = self.answers.get(key)
        if stored is None:
            if response.ok:
                self.answers[key] = StoredAnswer(body, is_spaced, response)
        elif stored.body == body:
            yield from check_replay(stored.response, response, respelled=stored.is_spaced is not is_spaced)
        else:
            yield from check_reused_key(response)

    def record_cancel(self, before: JsonObject, answer: Response, after: JsonObject) -> Iterator[Claim]:
        """A run was canceled: the run before, the answer, and the run when it has settled."""
        if has_ended(before):
            yield check_refused_cancel(before, answer)
            yield check_unchanged(before, after)
            return
        yield from check_cancel(before, answer, after)
        if after.get("status") == "canceled":
            yield from check_canceled_outcomes(before, after)

    def record_results(self, run: JsonObject, results: Sequence[JsonObject]) -> Iterator[Claim]:
        """The results of a run were listed, after its end or before."""
        if has_ended(run):
            yield from check_results(run, results)
        else:
            yield check_no_results(results)
