"""Pages and cursors: pages equal naive slices, lists may grow between pages, and cursors are authentic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from zof_emulator.core.pages import seal, take_newest, unseal
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from hypothesis.strategies import DataObject

ascending = st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted)
bounds = st.integers(-5, 70)
seeds = st.integers(-(2**70), 2**70)
scopes = st.text(max_size=20)
positions = st.integers(0, 2**48 - 1)


@given(ascending | st.integers(0, 40).map(range), bounds, bounds, st.integers(0, 12))
def test_a_page_is_what_a_naive_filter_finds(index: list[int] | range, lower: int, upper: int, limit: int) -> None:
    """A page holds the greatest numbers from `lower` to below `upper`, descending, and whether more follow."""
    matching = [number for number in reversed(index) if lower <= number < upper]
    assert take_newest(index, lower, upper, limit) == (matching[:limit], len(matching) > limit)


@given(st.data(), ascending, st.integers(1, 7))
def test_a_walk_loses_and_repeats_nothing_while_newer_ones_come(data: DataObject, index: list[int], limit: int) -> None:
    """Paging through a list yields each initial number exactly once, whatever is added meanwhile."""
    there = list(index)
    met: list[int] = []
    below, more = 1 << 47, True
    while more:
        page, more = take_newest(index, 0, below, limit)
        assert page or not more
        assert all(number < below for number in page)
        met += page
        below = page[-1] if page else below
        newer = max(index, default=0) + 1
        index += [newer + one for one in data.draw(st.lists(st.integers(0, 9), unique=True, max_size=5).map(sorted))]
    assert met == there[::-1]


@given(seeds, scopes, positions)
def test_a_cursor_gives_its_position_back(seed: int, scope: str, position: int) -> None:
    """A cursor that was sealed for a list is opened for the same list."""
    cursor = seal(seed, scope, position)
    assert unseal(seed, scope, cursor) == position
    assert cursor.isascii()
    assert len(cursor) <= 512


@given(st.data(), seeds, scopes, positions)
def test_a_cursor_with_a_changed_character_is_refused(data: DataObject, seed: int, scope: str, position: int) -> None:
    """No character of a cursor can be changed, left out or added without a refusal that blames `starting_after`."""
    cursor = seal(seed, scope, position)
    place = data.draw(st.integers(0, len(cursor)))
    end = data.draw(st.integers(place, min(place + 1, len(cursor))))
    forged = (
        cursor[:place] + data.draw(st.sampled_from("0123456789abcdefABCDEF_ \n") | st.text(max_size=2)) + cursor[end:]
    )
    assume(forged != cursor)
    with pytest.raises(Refused) as refused:
        unseal(seed, scope, forged)
    assert (refused.value.reason, refused.value.param) == ("invalid_cursor", "starting_after")


@given(st.tuples(seeds, scopes), st.tuples(seeds, scopes), positions)
def test_a_cursor_of_elsewhere_is_refused(here: tuple[int, str], elsewhere: tuple[int, str], position: int) -> None:
    """A cursor is valid only for the seed and the list that it was sealed for."""
    assume(here != elsewhere)
    with pytest.raises(Refused, match="invalid_cursor"):
        unseal(*here, seal(*elsewhere, position))


@given(st.text(max_size=80))
def test_any_text_at_all_is_refused_in_words(text: str) -> None:
    """A text that is no cursor is refused as an invalid cursor, and raises nothing else."""
    with pytest.raises(Refused, match="invalid_cursor"):
        unseal(0, "runs", text)
