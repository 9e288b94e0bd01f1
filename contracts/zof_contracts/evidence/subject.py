"""The deployment that is verified, as the evidence knows it.

`zof_contracts.target.target.Target` has this form. The evidence names the form only, so that it depends on no target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_contracts.contract.rules import Rule


class Subject(Protocol):
    """The properties of a deployment that evidence and reports use."""

    @property
    def base(self) -> str:
        """The URL without `/v1`."""
        ...

    @property
    def is_in_process(self) -> bool:
        """Whether it is an application in this process."""
        ...

    @property
    def profile(self) -> str:
        """`full`, or `read-only`."""
        ...

    @property
    def is_strict(self) -> bool:
        """Whether answers are checked against closed schemas too."""
        ...

    @property
    def keys(self) -> Mapping[str, str]:
        """The API keys by name."""
        ...

    @property
    def project(self) -> str:
        """The project that runs are started in."""
        ...

    @property
    def environment(self) -> str:
        """The environment that runs are started in."""
        ...

    @property
    def cases(self) -> tuple[str, ...]:
        """The test cases that are run."""
        ...

    @property
    def can_move_clock(self) -> bool:
        """Whether its clock can be moved, so that waiting takes no time."""
        ...

    def redact(self, text: str) -> str:
        """The text with every key replaced by its name."""
        ...

    def lacks(self, rule: Rule) -> tuple[str, ...]:
        """The needs of a rule that it does not meet."""
        ...
