"""Outcome rules: which cases, suites and environments a pattern matches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.outcome_rules import OutcomeRule, OutcomeRules

patterns = st.text("ab*", min_size=1, max_size=8)
texts = st.text("ab", max_size=8)


@lru_cache(maxsize=100_000)
def matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern, from the definition: `*` stands for any characters."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return matches(pattern[1:], text) or (text != "" and matches(pattern, text[1:]))
    return text[:1] == pattern[0] and matches(pattern[1:], text[1:])


def has_matched(pattern: str, text: str) -> bool:
    """Whether a rule for the cases of a pattern matches a case."""
    return OutcomeRules((OutcomeRule(case=pattern, nth=(1,)),)).can_count_case(text)


@given(pattern=patterns, text=texts)
def test_a_star_stands_for_any_characters(pattern: str, text: str) -> None:
    """A pattern matches a text if its stars can be replaced by texts that make it the same."""
    assert has_matched(pattern, text) == matches(pattern, text)


@dataclass
class Steps:
    """Counts the searches of a text, and how far they go."""

    count: int = 0
    characters: int = 0


class CountedText(str):
    """A text that counts how much of it is searched."""

    __slots__ = ("steps",)
    steps: Steps

    def find(self, part: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        """Search, and count the characters that were passed."""
        found = super().find(part, start, end)
        self.steps.count += 1
        self.steps.characters += (len(self) if found < 0 else found + len(part)) - start
        return found


def test_many_stars_cost_no_more_than_the_text_is_long() -> None:
    """A pattern of 33 stars is compared with a text in one pass; all ways to divide the text would be 10^17."""
    text = CountedText("tc_" + "a" * 64)
    text.steps = Steps()
    assert not has_matched("tc_" + "*a" * 33 + "*b*", text)
    assert 0 < text.steps.count <= 34
    assert text.steps.characters <= len(text)
