"""The rules for request objects: which of several faults is reported, and with which parameter."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zof_emulator.core.instants import parse_rfc3339
from zof_emulator.core.refusal import Refused
from zof_emulator.spec.document import find_document, load_document
from zof_emulator.spec.operation import compile_operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_emulator.spec.operation import Operation

OPERATIONS: Final = {one.id: one for one in compile_operations(load_document(find_document("openapi.yaml")))}
LABELS: Final = {"environments": ("staging", "production", "qa")}
BODIES: Final = [one for one in OPERATIONS.values() if one.body is not None]
START: Final = {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_a"]}
FIELDS: Final = ("project_id", "environment", "test_case_ids", "test_suite_id", "format", "run_id", "status")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | texts
near = st.sampled_from(["proj_a", "staging", "qa", "tc_a", "suite_a", "csv", "run_a", "2026-01-01T00:00:00Z", "queued"])
values = st.recursive(
    scalars | near, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
names = st.sampled_from([*FIELDS, "created_after", "created_before"]) | texts
anything = (
    values
    | st.dictionaries(names, values, max_size=6)
    | st.lists(near).map(lambda found: {**START, "test_case_ids": found})
)


def judge(operation: Operation, value: object, repeated: Sequence[str] = ()) -> Any:  # noqa: ANN401  JSON
    """The value of a body as an operation decodes it, or the refusal."""
    assert operation.body is not None
    try:
        return operation.body.rules.judge(value, LABELS, repeated)
    except Refused as refused:
        return refused


def fault(value: object, repeated: Sequence[str] = (), operation: str = "startRun") -> tuple[str, str | None]:
    """Reason and param of the refusal of a body."""
    refused = judge(OPERATIONS[operation], value, repeated)
    assert isinstance(refused, Refused)
    return refused.reason, refused.param


@given(st.sampled_from(BODIES), anything, st.lists(names, max_size=2))
@example(OPERATIONS["startRun"], [], [])
@example(OPERATIONS["startRun"], {"": 1, **START}, [])
@example(OPERATIONS["startRun"], START, [])
@example(OPERATIONS["exportResults"], {"format": "csv", "created_after": "2026-01-01T00:00:00Z"}, [])
def test_any_value_is_judged_or_refused_in_words(operation: Operation, value: object, twice: list[str]) -> None:
    """Any JSON value satisfies the schema or is refused for a reason that the operation documents."""
    given_twice = [name for name in twice if isinstance(value, dict) and name in value]
    found = judge(operation, copy.deepcopy(value), given_twice)
    if not isinstance(found, Refused):
        assert not given_twice
        assert isinstance(value, dict)
        times = {name: parse_rfc3339(value[name]) for name in ("created_after", "created_before") if name in value}
        assert found == {**value, **times}
        return
    error = operation.reasons[found.reason].build_error(found)["error"]
    assert error.get("param") == found.param
    assert found.param is None or not error["message"].startswith("The body")
    assert found.param is None or "JSON object" not in error["message"]
    assert "None" not in error["message"]


@pytest.mark.parametrize("depth", [100, 254, 255, 256, 300, 1_000])
@pytest.mark.parametrize("field", ["project_id", "test_case_ids", "more"])
def test_a_value_of_any_depth_is_refused(field: str, depth: int) -> None:
    """A value with the deepest nesting that the JSON reader accepts is refused like any wrong value."""
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    assert fault({**START, field: deep})[1] in {field, f"{field}[0]"}


@pytest.mark.parametrize("environment", [5, None, ["staging"], {}, True, "", "Staging"])
def test_an_environment_is_one_of_a_list(environment: object) -> None:
    """The refusal of a wrong environment, of whatever type, lists the allowed ones."""
    refused = judge(OPERATIONS["startRun"], {**START, "environment": environment})
    message = OPERATIONS["startRun"].reasons[refused.reason].build_error(refused)["error"]["message"]
    assert message == "environment must be one of: staging, production, qa"


ABSENT: Final = "-"
projects = st.just("proj_a") | st.sampled_from([ABSENT, "proj_a", "a", 5, None])
environments = st.just("staging") | st.sampled_from([ABSENT, "staging", "qa", "moon"])
cases = st.sampled_from(
    [
        ABSENT,
        ["tc_a"],
        [],
        "tc_a",
        ["tc_a", "tc_a"],
        ["tc_a", "b", "c"],
        ["b", 5],
        [f"tc_{n}" for n in range(501)],
        ["x"] * 600,
    ]
)
suites = st.sampled_from([ABSENT, "suite_a", "a", None])


def first_fault(body: dict[str, Any], twice: list[str]) -> tuple[str, str | None]:  # noqa: C901, PLR0911, PLR0912
    """The first fault of a start in the order of the contract, unknown fields last."""
    for field, right in (("project_id", ("proj_a",)), ("environment", ("staging", "qa"))):
        if field in twice:
            return "repeated_field", field
        if field not in body:
            return "missing_field", field
        if body[field] not in right:
            return ("unknown_choice" if field == "environment" else "invalid_value"), field
    found = body.get("test_case_ids")
    if "test_case_ids" in twice:
        return "repeated_field", "test_case_ids"
    if found is None and "test_suite_id" not in body:
        return "missing_alternative", "test_case_ids"
    if found is not None:
        if not isinstance(found, list) or not 1 <= len(found) <= 500 or len(set(found)) < len(found):
            return "invalid_value", "test_case_ids"
        for place, case in enumerate(found):
            if not str(case).startswith("tc_"):
                return "invalid_value", f"test_case_ids[{place}]"
    if "test_suite_id" in twice:
        return "repeated_field", "test_suite_id"
    if found is not None and "test_suite_id" in body:
        return "conflicting_field", "test_suite_id"
    if body.get("test_suite_id", "suite_a") != "suite_a":
        return "invalid_value", "test_suite_id"
    return ("unknown_field", "zzz") if "zzz" in body else ("", None)


@settings(max_examples=400)
@given(st.tuples(projects, environments, cases, suites, st.sampled_from([ABSENT, 1])), st.data())
def test_the_first_fault_in_the_order_of_the_spec_is_told(parts: tuple[Any, ...], data: st.DataObject) -> None:
    """The first fault in the order of the document is reported, whatever the order of the body."""
    fields = ("project_id", "environment", "test_case_ids", "test_suite_id", "zzz")
    present = [(name, value) for name, value in zip(fields, parts, strict=True) if value != ABSENT]
    body = dict(data.draw(st.permutations(present)))
    twice = data.draw(st.lists(st.sampled_from(list(body)), unique=True, max_size=2)) if body else []
    known_twice = [name for name in twice if name != "zzz"]
    expected = first_fault(body, known_twice)
    found = judge(OPERATIONS["startRun"], body, twice)
    assert (found == body) if expected == ("", None) else (found.reason, found.param) == expected


def test_an_unknown_name_is_cut() -> None:
    """A name of any length is shortened in the message and in `param`."""
    reason, param = fault({**START, "x" * 10_000: 1})
    assert reason == "unknown_field"
    assert param == "x" * 100 + "…"
    assert fault({**START, "x" * 100: 1})[1] == "x" * 100


def test_one_of_many_unknown_names_is_told() -> None:
    """Of many unknown fields, the first is reported."""
    assert fault({**START, **{f"x{number}": 1 for number in range(10_000)}}) == ("unknown_field", "x0")


def test_a_long_list_is_one_fault() -> None:
    """A list with more than 500 items is too long, whatever is in it."""
    for cases in (
        ["?"] * 100_000,
        [f"tc_{number}" for number in range(501)],
        [f"tc_{number}" for number in range(9_999)],
    ):
        assert fault({**START, "test_case_ids": cases}) == ("invalid_value", "test_case_ids")


@pytest.mark.parametrize("labels", [("staging",), ("qa", "eu-1")])
def test_labels_are_the_organizations(labels: tuple[str, ...]) -> None:
    """An environment must be one of the organization's; the message lists exactly these."""
    rules = OPERATIONS["startRun"].body
    assert rules is not None
    for name in ("staging", "qa", "eu-1", "production"):
        body = {**START, "environment": name}
        if name in labels:
            assert rules.rules.judge(body, {"environments": labels}) == body
            continue
        with pytest.raises(Refused) as refused:
            rules.rules.judge(body, {"environments": labels})
        assert (refused.value.reason, refused.value.param) == ("unknown_choice", "environment")
        assert refused.value.values == {"allowed": ", ".join(labels)}
