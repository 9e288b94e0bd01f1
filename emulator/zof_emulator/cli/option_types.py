"""Types of options whose error messages name the value, what is wrong with it, and what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


class Parsed(click.ParamType[Any]):
    """An option type whose function parses the text and raises `ValueError` for an invalid one."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """The parsed value."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class WholeNumber(click.IntRange):
    """A whole number within bounds, which belong to it."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__(least, most)
        self._allowed = f"a whole number from {least} to {most}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """The number."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not allowed; use {self._allowed}", param, ctx)


class Switch(click.types.BoolParamType):
    """A flag that an environment variable can set too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:  # noqa: ANN401
        """Whether it is set."""
        is_set = self.str_to_bool(value)
        if is_set is None:
            self.fail(f"{value!r} is not allowed; use true or false, yes or no, on or off, 1 or 0", param, ctx)
        return is_set
