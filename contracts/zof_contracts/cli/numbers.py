"""Numbers as option values, whose errors say which numbers are allowed."""

from __future__ import annotations

from typing import Any

import click


class WholeNumber(click.IntRange):
    """A whole number from `min` to `max`, where they are given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return the number."""
        try:
            number: int = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r}: use a whole number{describe_bounds(self)}", param, ctx)
        return number


class Number(click.FloatRange):
    """A number from `min` to `max`, where they are given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return the number."""
        try:
            number: float = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r}: use a number{describe_bounds(self)}", param, ctx)
        return number


def describe_bounds(numbers: click.IntRange | click.FloatRange) -> str:
    """Describe the bounds of a range of numbers: " from 0 to 100", " of at least 1" or " above 0"."""
    low, high = numbers.min, numbers.max
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" above {low:g}" if numbers.min_open else f" of at least {low:g}"
    return "" if high is None else f" of at most {high:g}"
