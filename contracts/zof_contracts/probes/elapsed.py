"""The effects of time: runs that were left alone, idempotency keys after a day, artifacts after ninety days."""

from __future__ import annotations

from typing import Final

from zof_contracts.checks.claims import describe, has_ended
from zof_contracts.probes.context import NOT_FOUND, Probe, ProbeContext, Unsettled
from zof_contracts.probes.idempotency import make_start
from zof_contracts.probes.presence import skip_if_absent

_DAY: Final = 86_400
_NINETY_DAYS: Final = 90 * _DAY
_SLACK: Final = 120
"""Seconds before and after the end of a day."""


def revisit_runs(context: ProbeContext) -> None:
    """Runs that were left alone have ended as their cases did, and stay as they are; the checks judge the answers."""
    for run_id in context.unattended_runs:
        context.wait_until(run_id, has_ended)
    for run_id in context.unattended_runs[:1]:
        context.get_run(run_id)


def wait_for_expiry(context: ProbeContext) -> None:
    """After 24 hours a key is forgotten, and after 90 days an artifact is gone; not before."""
    if context.target.advance is None:
        return
    run_id = context.find_ended_run().response.fields["id"]
    artifact = next((each.get("id") for each in context.artifacts(run_id)), None)
    _expire_key(context)
    if artifact is None:
        raise Unsettled("the run left no artifacts")
    _expire_artifact(context, run_id, artifact)


def _expire_key(context: ProbeContext) -> None:
    key = context.idempotency_key("day")
    first = context.require_ok(context.client.post("/runs", make_start(context), idempotency_key=key))
    context.client.wait(_DAY - _SLACK, "almost a day")
    early = context.client.post("/runs", make_start(context), idempotency_key=key)
    context.client.wait(2 * _SLACK, "the rest of the day")
    late = context.client.post("/runs", make_start(context), idempotency_key=key)
    ids = [each.response.fields.get("id") for each in (first, early, late)]
    holds = ids[0] == ids[1] != ids[2] and late.response.ok
    expected = f"the run {ids[0]} within 24 hours, then a new run"
    got = f"{describe(early.response)} with {ids[1]}, then {describe(late.response)} with {ids[2]}"
    context.check("idempotency.expiry", holds, expected=expected, got=got, trace=[first, early, late])


def _expire_artifact(context: ProbeContext, run_id: str, artifact: object) -> None:
    context.client.wait(_NINETY_DAYS - 2 * _DAY, "almost 90 days")
    path = f"/artifacts/{artifact}/content"
    early = context.client.get(path)
    if skip_if_absent(context, "artifacts.expiry", early):
        return
    context.client.wait(2 * _DAY, "the rest of 90 days")
    late, listed = context.client.get(path), context.client.get(f"/runs/{run_id}/artifacts", limit=100)
    is_listed = artifact in [each.get("id") for each in listed.response.items]
    holds = early.response.ok and late.response.status == NOT_FOUND and not is_listed
    expected = "2xx within 90 days, then 404 and not listed"
    got = f"{describe(early.response)}, then {describe(late.response)} and {'' if is_listed else 'not '}listed"
    context.check("artifacts.expiry", holds, expected=expected, got=got, trace=[early, late, listed])


PROBES: Final = (
    Probe("runs that were left alone", revisit_runs, ("runs.outcome", "runs.status.terminal")),
    Probe("a day, and ninety", wait_for_expiry, ("idempotency.expiry", "artifacts.expiry")),
)
"""The last probe moves the clock far, so that it must come last."""
