"""The timeline: actions are due in order, and no clock runs backwards."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import LAST
from zof_emulator.core.timeline import DELIVER, NEVER, Agenda, Clock

instants = st.integers(-(2**40), LAST)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60))
def test_what_is_due_comes_by_time_and_then_by_when_it_was_put(story: list[tuple[bool, int]]) -> None:
    """An agenda is sorted by instant, equal instants keep their order, and later actions stay."""
    agenda = Agenda()
    model: list[tuple[int, int]] = []
    for number, (puts, at) in enumerate(story):
        if puts:
            agenda.put(at, "org_a", number, "passed")
            model = sorted([*model, (at, number)])
        else:
            due = agenda.take(at)
            expected = model.pop(0) if model and model[0][0] <= at else None
            assert (due and (due.at, due.number)) == expected
        assert agenda.first == (model[0][0] if model else NEVER)


ACTIONS = [(at, number, outcome) for at in (5, 9) for number in (0, 1) for outcome in ("passed", DELIVER)]


@given(st.permutations(ACTIONS), st.lists(st.sampled_from([one for one in ACTIONS if one[2] == DELIVER])))
def test_a_saved_agenda_shows_no_order_of_deliveries(
    order: list[tuple[int, int, str]], again: list[tuple[int, int, str]]
) -> None:
    """The order and number in which deliveries are put leaves no trace in a saved agenda, in which cases come first."""
    agenda = Agenda()
    cases = [one for one in order if one[2] != DELIVER]
    for at, number, outcome in (*order, *again):
        agenda.put(at, "org_a", number, outcome)
    saved = agenda.to_json()
    expected = [
        row
        for instant in (5, 9)
        for row in (*(one for one in cases if one[0] == instant), (instant, 0, DELIVER), (instant, 1, DELIVER))
    ]
    assert [(row[0], row[3], row[4]) for row in saved["due"]] == expected
    assert [row[1] for row in saved["due"]] == list(range(1, saved["sequence"] + 1))
    assert Agenda.from_json(saved).to_json() == saved


def test_what_is_put_down_is_given_back() -> None:
    """A due action names its organization, its run and the outcome; without a run it fills a free place."""
    agenda = Agenda()
    agenda.put(5, "org_a", 7, "failed")
    agenda.put(5, "org_b")
    first, second = agenda.take(5), agenda.take(5)
    assert first is not None
    assert first[0::2] == (5, "org_a", "failed")
    assert first.number == 7
    assert second is not None
    assert (second.organization, second.number, second.outcome) == ("org_b", -1, "")
    assert agenda.take(5) is None


@given(instants, st.lists(instants), st.integers(0, 2**40))
def test_a_manual_clock_moves_only_when_it_is_told(start: int, system: list[int], by: int) -> None:
    """A manual clock does not move when the system's clock does."""
    clock = Clock(ClockMode.MANUAL).move_by(by)
    assert all(clock.read(one, start) == start for one in system)


@given(instants, st.lists(instants), st.integers(0, 2**48))
@example(LAST, [LAST], 1)
def test_a_real_clock_follows_the_systems_and_never_goes_back(start: int, system: list[int], by: int) -> None:
    """A real clock keeps its offset to the system's; it waits if that goes back, and at the end of time."""
    clock, now = Clock().move_by(by), start
    for one in system:
        then = clock.read(one, now)
        assert then == min(LAST, max(now, one + by)) >= now
        now = then


@given(st.sampled_from([ClockMode.REAL, ClockMode.MANUAL]), st.lists(st.integers(0, 2**30)))
def test_moves_add_up(mode: ClockMode, moves: list[int]) -> None:
    """Several moves of a clock equal one move by their sum."""
    clock = Clock(mode)
    for by in moves:
        clock = clock.move_by(by)
    assert clock == Clock(mode, sum(moves))
