"""Idempotency keys: with other bodies, on other paths, and many at once (section 6)."""

from __future__ import annotations

import json
from typing import Final

from zof_contracts.checks.claims import check_replay, check_reused_key, describe
from zof_contracts.probes.context import INVALID, NOT_FOUND, UNKNOWN_CASE, UNKNOWN_RUN, Probe, ProbeContext, Unsettled
from zof_contracts.probes.presence import skip_if_absent
from zof_contracts.target.requests import build_post

_AT_ONCE: Final = 4
"""Equal starts that are sent at once."""


def make_start(context: ProbeContext, **changes: object) -> dict[str, object]:
    """The body of a start, with changes."""
    target = context.target
    return {
        "project_id": target.project,
        "environment": target.environment,
        "test_case_ids": [target.cases[0]],
        **changes,
    }


def reuse_key(context: ProbeContext) -> None:
    """One key is sent with the same value in other spacing, with another body, and on another path."""
    key = context.idempotency_key("reuse")
    client, body = context.client, make_start(context)
    first = context.require_ok(client.post("/runs", body, idempotency_key=key))
    reversed_body = dict(reversed(body.items()))
    listed = context.list_runs_since(first)
    spaced = client.post("/runs", json.dumps(reversed_body, indent=3).encode(), idempotency_key=key)
    context.record(check_replay(first.response, spaced.response, respelled=True), [first, spaced])
    context.judge_replay_effect(first, listed, [spaced])
    other = client.post("/runs", make_start(context, test_case_ids=list(context.target.cases)), idempotency_key=key)
    context.record(check_reused_key(other.response), [first, other])
    export = client.post("/results/export", {"format": "json", "run_id": UNKNOWN_RUN}, idempotency_key=key)
    if skip_if_absent(context, "idempotency.scope.path", export):
        return
    is_export = export.response.ok and isinstance(export.response.fields.get("data"), list)
    got = f"{describe(export.response)} with the fields {', '.join(export.response.fields) or 'none'}"
    expected, trace = "2xx with the field data, as an export", [first, export]
    context.check("idempotency.scope.path", is_export, expected=expected, got=got, trace=trace)


def correct_refused_start(context: ProbeContext) -> None:
    """Starts that were refused, as invalid or for an unknown case, are corrected and accepted with the same key."""
    wrongs: tuple[dict[str, object], ...] = ({"environment": 5}, {"test_case_ids": [UNKNOWN_CASE]})
    for number, wrong in enumerate(wrongs, 1):
        key = context.idempotency_key(f"corrected-{number}")
        refused = context.client.post("/runs", make_start(context, **wrong), idempotency_key=key)
        if refused.response.status not in {INVALID, NOT_FOUND}:
            got = describe(refused.response)
            context.ledger.record_skip("idempotency.refused-not-kept", f"the wrong start was answered {got}")
            continue
        corrected = context.client.post("/runs", make_start(context), idempotency_key=key)
        rule, answer = "idempotency.refused-not-kept", corrected.response
        is_kept = answer.status == refused.response.status or answer.error.get("param") == "Idempotency-Key"
        if answer.ok or is_kept:
            expected, got = "2xx for the corrected start", describe(answer)
            context.check(rule, answer.ok, expected=expected, got=got, trace=[refused, corrected])
        else:
            context.ledger.record_skip(rule, f"the corrected start was answered {describe(answer)}, for another reason")


def start_at_once(context: ProbeContext) -> None:
    """Several equal starts with one key, at once, make one run."""
    request = build_post("/runs", make_start(context), idempotency_key=context.idempotency_key("at-once"))
    before = context.client.get("/runs", limit=100)
    answers = context.client.send_together([request] * _AT_ONCE)
    made = {str(each.response.fields.get("id")) for each in answers if each.response.ok and each.response.fields}
    if not made:
        raise Unsettled(f"no start was accepted: {describe(answers[0].response)}")
    got = f"{len(made)} runs: {', '.join(sorted(made))}"
    context.check("idempotency.simultaneous", len(made) == 1, expected="one run", got=got, trace=answers)
    first = next(each for each in answers if each.response.ok and each.response.fields)
    if len(made) == 1 and isinstance(first.response.fields.get("id"), str):
        context.judge_replay_effect(first, before, [each for each in answers if each is not first])


PROBES: Final = (
    Probe(
        "reused idempotency keys",
        reuse_key,
        ("idempotency.spacing", "idempotency.other-body", "idempotency.scope.path"),
    ),
    Probe("a refused start, corrected", correct_refused_start, ("idempotency.refused-not-kept",)),
    Probe("equal starts at once", start_at_once, ("idempotency.simultaneous",)),
)
"""Probes that start runs with idempotency keys."""
