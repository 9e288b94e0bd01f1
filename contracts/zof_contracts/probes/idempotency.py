"""Idempotency keys: other bodies, paths and organizations, many at once, and the end of 24 hours (section 6)."""

from __future__ import annotations

import json
from typing import Final

from zof_contracts.probes.context import CONFLICT, UNKNOWN_RUN, ProbeContext, Unsettled, describe
from zof_contracts.target.requests import build_post

_AT_ONCE: Final = 4
_DAY: Final = 86_400
_NINETY_DAYS: Final = 90 * _DAY
_SLACK: Final = 120


def _body(context: ProbeContext, **changes: object) -> dict[str, object]:
    target = context.target
    return {
        "project_id": target.project,
        "environment": target.environment,
        "test_case_ids": [target.cases[0]],
        **changes,
    }


def reuse(context: ProbeContext) -> None:
    """One key with the same value in other spacing, with another body, and on another path."""
    word = context.idempotency_key("reuse")
    client, body = context.client, _body(context)
    first = context.require_ok(client.post("/runs", body, idempotency_key=word))
    run_id = first.response.fields.get("id")
    turned = dict(reversed(body.items()))
    spaced = client.post("/runs", json.dumps(turned, indent=3).encode(), idempotency_key=word)
    same = spaced.response.fields.get("id") == run_id
    context.check("idempotency.spacing", same, expected="the replay", got=describe(spaced), trace=[first, spaced])
    other = client.post("/runs", _body(context, test_case_ids=list(context.target.cases)), idempotency_key=word)
    right = other.response.status == CONFLICT and other.response.error.get("param") == "Idempotency-Key"
    expected = "409 with param Idempotency-Key"
    context.check("idempotency.other-body", right, expected=expected, got=describe(other), trace=[first, other])
    path = client.post("/results/export", {"format": "json", "run_id": UNKNOWN_RUN}, idempotency_key=word)
    rule = "idempotency.scope.path"
    own = path.response.ok and isinstance(path.response.fields.get("data"), list)
    context.check(rule, own, expected="a request of its own", got=describe(path), trace=[first, path])


def refused_not_kept(context: ProbeContext) -> None:
    """A refused start, mended, is accepted under its key."""
    word = context.idempotency_key("mended")
    wrong = context.client.post("/runs", _body(context, environment=5), idempotency_key=word)
    if wrong.response.ok:
        raise Unsettled("the wrong start was accepted")
    right = context.client.post("/runs", _body(context), idempotency_key=word)
    rule = "idempotency.refused-not-kept"
    if context.is_conclusive(rule, right, 201):
        context.check(rule, right.response.ok, expected="2xx, once mended", got=describe(right), trace=[wrong, right])


def simultaneous(context: ProbeContext) -> None:
    """Several equal starts under one key, at once, make one run."""
    word = context.idempotency_key("at-once")
    request = build_post("/runs", _body(context), idempotency_key=word)
    answers = context.client.send_together([request] * _AT_ONCE)
    made = {each.response.fields.get("id") for each in answers if each.response.ok and each.response.fields}
    if not made:
        raise Unsettled(f"no start was accepted: {describe(answers[0])}")
    expected = "one run"
    context.check("idempotency.simultaneous", len(made) == 1, expected=expected, got="several", trace=answers)


def later(context: ProbeContext) -> None:
    """After 24 hours a key is forgotten, after 90 days an artifact is gone; not before."""
    if context.target.advance is None:
        return
    run_id = context.find_ended_run().response.fields["id"]
    artifact = next((each.get("id") for each in context.artifacts(run_id)), None)
    word = context.idempotency_key("day")
    first = context.require_ok(context.client.post("/runs", _body(context), idempotency_key=word))
    context.client.wait(_DAY - _SLACK, "almost a day")
    early = context.client.post("/runs", _body(context), idempotency_key=word)
    context.client.wait(2 * _SLACK, "the rest of the day")
    late = context.client.post("/runs", _body(context), idempotency_key=word)
    names = [each.response.fields.get("id") for each in (first, early, late)]
    right = names[0] == names[1] != names[2] and late.response.ok
    got = "forgotten before" if names[0] != names[1] else "kept longer"
    expected = "kept for 24 hours"
    context.check("idempotency.expiry", right, expected=expected, got=got, trace=[first, early, late])
    if artifact is None:
        raise Unsettled("the run left no artifacts")
    context.client.wait(_NINETY_DAYS - 2 * _DAY, "almost 90 days")
    path = f"/artifacts/{artifact}/content"
    there = context.client.get(path)
    context.client.wait(2 * _DAY, "the rest of 90 days")
    gone, listed = context.client.get(path), context.client.get(f"/runs/{run_id}/artifacts", limit=100)
    still = artifact in [each.get("id") for each in listed.response.items]
    right = there.response.ok and gone.response.status == 404 and not still  # noqa: PLR2004  the documented status
    got = f"{describe(there)}, then {describe(gone)}"
    trace = [there, gone, listed]
    context.check("artifacts.expiry", right, expected="there for 90 days, then gone", got=got, trace=trace)
