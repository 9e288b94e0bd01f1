"""The steps of a case, which screenshot, trace and HAR show alike."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from zof_emulator.render.case_steps import make_origin, make_url, plan_steps

from tests.render.strategies import SAMPLE, anything, from_statuses, ids

if TYPE_CHECKING:
    from zof_emulator.core.results import Result


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ("staging", "staging"),
        ("QA 2/eu", "qa-2-eu"),
        ("prod.evil.test/@", "prod-evil-test"),
        ("…", "unnamed"),
        ("a" * 80, "a" * 63),
        ("a" * 62 + " b", "a" * 62),
    ],
)
def test_host(environment: str, host: str) -> None:
    """An environment is one part of a host under `app.example`, and can name no other host."""
    assert make_origin(environment) == f"https://{host}.app.example"


@given(anything)
def test_host_of_any_label(environment: str) -> None:
    """The host is valid in DNS, whatever the label."""
    assert re.fullmatch(r"https://(?!-)[a-z0-9-]{1,63}(?<!-)\.app\.example", make_origin(environment))


@given(anything | ids)
def test_address_is_ascii(case: str) -> None:
    """A case's ID reaches the URL quoted, whatever it holds."""
    url = make_url(replace(SAMPLE, test_case_id=case))
    assert re.fullmatch(r"https://staging\.app\.example/\?case=[A-Za-z0-9._~%-]*", url)


@given(from_statuses())
def test_steps_fill_the_case(result: Result) -> None:
    """Steps begin with the case, follow one another without a gap, and end with it."""
    told = plan_steps(result)
    if result.started_at is None:
        assert told == ()
        return
    assert told[0].begin == 0
    assert told[-1].end == result.duration_ms
    assert all(before.end == after.begin for before, after in pairwise(told))
    assert all(step.begin <= step.end for step in told)


def test_shares_differ() -> None:
    """Two cases with equal durations have different but reproducible step durations."""
    other = replace(SAMPLE, test_case_id="tc_login")
    assert [step.end for step in plan_steps(SAMPLE)] != [step.end for step in plan_steps(other)]
    assert plan_steps(SAMPLE) == plan_steps(replace(SAMPLE, id="res_2", created_at=None))
