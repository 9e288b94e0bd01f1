"""Bodies judged by the schemas of the contract."""

from __future__ import annotations

from typing import Any, Final

import pytest
from zof_contracts.checks.schemas import check_schema
from zof_contracts.contract.rules import OWNERS

from tests.contracts.answers import RUN

ENVELOPE: Final = {"$ref": "#/components/schemas/WebhookEnvelope"}
PRESENT: Final[dict[str, Any]] = {
    "id": "evt_1",
    "type": "run.completed",
    "created": "2026-01-01T00:00:00Z",
    "data": {"object": {"id": "run_1", "organization_id": "org_1", "run_id": "run_1"}},
}
OLDER: Final[dict[str, Any]] = {
    "event": "run.completed",
    "timestamp": "2026-01-01T00:00:00Z",
    "data": {"run_id": "run_1", "status": "passed", "duration_ms": 1, "project_id": None, "environment": None},
}


@pytest.mark.parametrize(("body", "form"), [(PRESENT, "WebhookEvent"), (OLDER, "LegacyWebhookEvent")])
def test_an_object_of_several_forms_is_judged_by_its_own(body: dict[str, Any], form: str) -> None:
    """An object that may take several forms has the fields of the form it takes, and shows only that form's rules."""
    result = check_schema(body, ENVELOPE)
    assert (result.errors, result.unknown_fields) == ((), ())
    (other,) = {"WebhookEvent", "LegacyWebhookEvent"} - {form}
    own, others = OWNERS.schemas.get(form), OWNERS.schemas.get(other)
    assert own is None or own in result.kept
    assert others in {None, own} or others not in result.kept


@pytest.mark.parametrize("body", [PRESENT, OLDER])
def test_a_field_of_no_form_is_unknown(body: dict[str, Any]) -> None:
    """A field that the form of an object does not have is named with its place."""
    result = check_schema({**body, "data": {**body["data"], "more": 1}}, ENVELOPE)
    assert result.unknown_fields == ("data.more",)


@pytest.mark.parametrize("body", [{}, {"id": 1}, {**PRESENT, "data": {}}, {**OLDER, "timestamp": "today"}])
def test_an_object_of_no_form_is_an_error(body: dict[str, Any]) -> None:
    """An object that fits none of its forms is an error with a rule."""
    assert check_schema(body, ENVELOPE).errors


@pytest.mark.parametrize("count", [0, 501])
def test_the_bounds_of_a_documented_field_are_assumed(count: int) -> None:
    """A run with more or fewer cases than the contract assumes differs from the assumption, and violates nothing."""
    run = {**RUN, "case_outcomes": RUN["case_outcomes"] * count}
    errors = check_schema(run, {"$ref": "#/components/schemas/RunDetail"}).errors
    assert {error.rule for error in errors} == {"runs.fields"}


def test_the_type_of_a_documented_field_is_documented() -> None:
    """A run whose case outcomes are no list violates."""
    errors = check_schema({**RUN, "case_outcomes": {}}, {"$ref": "#/components/schemas/RunDetail"}).errors
    assert "runs.shape" in {error.rule for error in errors}
