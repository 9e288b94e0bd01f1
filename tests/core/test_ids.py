"""IDs: each is unique, gives the object that it names, and no other text does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st
from zof_emulator.core.ids import IdScheme, Permutation

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = ("sample_passed", "sample_failed")
ID = re.compile(r"(run|res|art|log|req)_[A-Za-z0-9_-]{1,64}")

seeds = st.integers(-(2**40), 2**70)
numbers = st.integers(0, 5) | st.integers(0, 2**64 - 1)
indexes = st.integers(0, 998)
slots = st.integers(0, 9_998)
worlds = st.builds(IdScheme, seeds, st.sampled_from([(), SAMPLES]))
readers: list[Callable[[IdScheme, str], object]] = [IdScheme.read_run, IdScheme.read_result, IdScheme.read_artifact]


@given(worlds, numbers, indexes, slots)
def test_an_id_is_read_back(names: IdScheme, number: int, index: int, slot: int) -> None:
    """The ID of a run, a result or an artifact tells which one it is."""
    assert names.read_run(names.run(number)) == number
    assert names.read_result(names.result(number, index)) == (number, index)
    assert names.read_artifact(names.artifact(number, slot)) == (number, slot)


@given(worlds, numbers, indexes, slots)
def test_an_id_has_the_form_of_the_contract(names: IdScheme, number: int, index: int, slot: int) -> None:
    """An ID is a prefix and 1 to 64 letters, digits, _ or -; a request's has 20 characters after it."""
    made = [names.run(number), names.result(number, index), names.artifact(number, slot), names.log(number, slot)]
    assert all(ID.fullmatch(one) for one in made)
    assert re.fullmatch(r"req_[0-9a-f]{20}", names.request(number))


@given(worlds, st.sets(numbers, max_size=30), st.sets(indexes, max_size=5))
def test_ids_never_repeat(names: IdScheme, found: set[int], places: set[int]) -> None:
    """Two objects have two IDs, whatever their kinds."""
    made = [names.run(number) for number in found] + [names.request(number) for number in found]
    for number in found:
        made += [name(number, place) for place in places for name in (names.result, names.artifact, names.log)]
    assert len(set(made)) == len(made)


@given(seeds, st.text(st.sampled_from("ab/"), max_size=4), st.sampled_from([8]))
def test_a_walk_meets_every_number_once(seed: int, purpose: str, bits: int) -> None:
    """A permutation yields all words of a length before it repeats one, and inverts each word to its index."""
    walk = Permutation.from_seed(seed, purpose, bits)
    words = [walk.word(number) for number in range(2**bits)]
    assert len(set(words)) == 2**bits
    assert [walk.number(word) for word in words] == list(range(2**bits))


@given(seeds)
def test_samples_have_their_words_under_every_seed(seed: int) -> None:
    """The first runs have the IDs that the spec's examples show, and no other word names them."""
    names = IdScheme(seed, SAMPLES)
    assert [names.run(number) for number in range(2)] == ["run_sample_passed", "run_sample_failed"]
    assert names.result(1, 1) == "res_sample_failed_002"
    assert names.artifact(1, 5) == "art_sample_failed_0006"
    plain = IdScheme(seed)
    assert [names.read_run(plain.run(number)) for number in range(3)] == [None, None, 2]


@given(seeds, seeds, numbers)
def test_another_seed_has_other_ids(one: int, other: int, number: int) -> None:
    """An ID from a world with another seed does not name the same run."""
    assume(one != other)
    assert IdScheme(one).run(number) != IdScheme(other).run(number)
    assert IdScheme(one).request(number) != IdScheme(other).request(number)


@given(worlds, st.text(max_size=90) | st.from_regex(r"\A(run|res|art)_.{0,30}\Z"), numbers, indexes)
def test_any_text_is_an_id_or_none(names: IdScheme, text: str, number: int, index: int) -> None:
    """No text makes a reader fail, and a text that it reads as an ID is exactly that ID."""
    for name in (text, names.run(number) + text, names.result(number, index), names.artifact(number, index)):
        run, result, artifact = names.read_run(name), names.read_result(name), names.read_artifact(name)
        assert run is None or names.run(run) == name
        assert result is None or names.result(*result) == name
        assert artifact is None or names.artifact(*artifact) == name


@given(worlds, numbers, indexes, st.data())
def test_an_id_written_otherwise_is_none(names: IdScheme, number: int, index: int, data: st.DataObject) -> None:
    """An ID with changed letters or zeros, or with text before or after it, names nothing."""
    run, result = names.run(number), names.result(number, index)
    around = data.draw(st.sampled_from(["0x{}", " {}", "{} ", "{}\n", "+{}", "{}_", "{}__0", "_{}"]))
    for name in (run, result):
        prefix, word = name[:4], name[4:]
        assert all(read(names, prefix + around.format(word)) is None for read in readers)
        assert word == word.upper() or all(read(names, prefix + word.upper()) is None for read in readers)
    assert names.read_result(f"{result[:-3]}0{index + 1:03d}") is None
    assert names.read_result(f"{result[:-3]}000") is None
    assert names.read_artifact(f"{names.artifact(number, 0)[:-4]}001") is None
    assert (names.read_run(result), names.read_result(run), names.read_artifact(result)) == (None, None, None)
