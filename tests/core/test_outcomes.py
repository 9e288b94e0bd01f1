"""Outcomes: the words in a case's ID choose the outcome, and the seed chooses the duration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.lifecycle import TERMINAL, Status
from zof_emulator.core.outcomes import choose_duration, choose_outcome, explain_failure, is_flaky

seeds = st.integers(-(2**40), 2**70)
cases = st.lists(
    st.sampled_from(["error", "fail", "flaky", "slow", "_", "x", "ERROR", "flak"]), min_size=1, max_size=6
).map(lambda words: "tc_" + "".join(words))
counts = st.integers(1, 1_000)


@given(cases, counts)
def test_the_first_of_three_words_decides(case: str, nth: int) -> None:
    """`error` outweighs `fail`, `fail` outweighs `flaky`, and a case without a word passes, every time."""
    if "error" in case:
        expected = Status.ERROR
    elif "fail" in case:
        expected = Status.FAILED
    elif "flaky" in case:
        expected = (Status.PASSED, Status.FAILED)[nth % 2]
    else:
        expected = Status.PASSED
    assert choose_outcome(case, nth) is expected
    assert is_flaky(case) is ("flaky" in case and "fail" not in case and "error" not in case)


@given(seeds, cases)
def test_a_case_takes_200_to_1500_ms_and_ten_times_as_long_when_slow(seed: int, case: str) -> None:
    """The duration of a case follows from the seed and the case's ID alone."""
    slow = 10 if "slow" in case else 1
    took = choose_duration(seed, case)
    assert 200 * slow <= took <= 1_500 * slow
    assert took % slow == 0
    choose_duration.cache_clear()
    assert choose_duration(seed, case) == took


def test_durations_fill_their_range() -> None:
    """Durations reach both ends of the range and differ by case and by seed."""
    found = {choose_duration(0, f"tc_{number}") for number in range(30_000)}
    assert (min(found), max(found)) == (200, 1_500)
    assert len({choose_duration(seed, "tc_login") for seed in range(50)}) > 40


@given(cases, st.sampled_from(Status), st.integers(0, 15_000))
def test_only_what_went_wrong_has_a_reason(case: str, status: Status, took: int) -> None:
    """A failed case has an assertion or, if it is slow, a time-out; one in error the platform; the others nothing."""
    found = explain_failure(case, status, took)
    if status not in {Status.FAILED, Status.ERROR}:
        assert found is None
        return
    assert found is not None
    category = "platform" if status is Status.ERROR else "timeout" if "slow" in case else "assertion"
    assert found.category == category
    assert case in found.message


@pytest.mark.parametrize("word", ["error", "fail", "flaky", "slow"])
def test_a_word_counts_wherever_it_stands(word: str) -> None:
    """A word counts at the beginning, in the middle and at the end of an ID."""
    stories = [
        (choose_outcome(case, 1), choose_duration(0, case) > 1_500)
        for case in (f"tc_{word}_x", f"tc_x{word}x", f"tc_x_{word}")
    ]
    assert len(set(stories)) == 1
    assert stories[0] != (Status.PASSED, False)


def test_every_outcome_is_an_end() -> None:
    """A case that ran to its end has a terminal status other than canceled."""
    found = {choose_outcome(case, nth) for case in ("tc_error", "tc_fail", "tc_flaky", "tc_x") for nth in (1, 2)}
    assert found == TERMINAL - {Status.CANCELED}
