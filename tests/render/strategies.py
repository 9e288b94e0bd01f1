"""Results for the tests of render: one plain sample, and strategies for any result that the emulator may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from zof_emulator.core.instants import LAST
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.results import Failure, Result
from zof_emulator.core.runs import Run

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

BEGAN: Final = 1_767_225_600_123
"""2026-01-01T00:00:00.123Z."""
SAMPLE: Final = Result(
    id="res_1",
    run_id="run_4f9ac2",
    project_id="proj_web",
    test_case_id="tc_checkout_fail",
    environment="staging",
    status="failed",
    created_at=BEGAN + 5_000,
    started_at=BEGAN,
    completed_at=BEGAN + 847,
    failure=Failure('Expected "paid", saw "due" <b>&amp;</b>', "assertion"),
)

RUN: Final = Run(
    number=0,
    organization="org_abc",
    project_id="proj_1",
    environment="staging",
    test_suite_id=None,
    cases=(SAMPLE.test_case_id,),
    created_at=BEGAN,
    status=Status.FAILED,
    started_at=BEGAN,
    completed_at=BEGAN,
)
"""An ended run."""

anything: Final[SearchStrategy[str]] = st.text(st.characters(exclude_categories=()), max_size=80)
"""Any text, with control characters and lone surrogates, which a scenario file can hold."""
ids: Final = st.from_regex(r"\Atc_[A-Za-z0-9_-]{1,64}\Z")
instants: Final = st.integers(0, LAST - 10**9)
failures: Final = st.builds(Failure, anything, st.sampled_from(["assertion", "timeout", "platform"]))


@st.composite
def from_statuses(draw: st.DrawFn, *statuses: str) -> Result:
    """A finished result with one of these statuses, or with any; a canceled one may never have started."""
    status = draw(st.sampled_from(statuses or ("passed", "failed", "error", "canceled")))
    began = draw(instants)
    never = status == "canceled" and draw(st.booleans())
    return Result(
        id=draw(ids),
        run_id=draw(ids),
        project_id=draw(ids),
        test_case_id=draw(ids),
        environment=draw(anything),
        status=status,
        created_at=draw(st.none() | instants),
        started_at=None if never else began,
        completed_at=began + draw(st.integers(0, 10**8)),
        failure=draw(failures) if status in {"failed", "error"} else None,
    )
