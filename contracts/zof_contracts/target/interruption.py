"""Whether a signal has asked the command to end.

The handler of the signal raises `KeyboardInterrupt`, which other code may swallow: the engine of generated requests
does, and so does the interpreter where the exception is raised while an object is freed. The signal is therefore also
remembered here. Every wait and every request looks, and whoever handles the exception acknowledges it.
"""

from __future__ import annotations

from typing import Final


class Interruption:
    """A signal that nobody has acknowledged yet."""

    def __init__(self) -> None:
        self._is_requested = False

    def request(self) -> None:
        """Remember a signal. A handler may call it at any moment, since it takes no lock."""
        self._is_requested = True

    def acknowledge(self) -> None:
        """Forget the signal, because its exception was handled."""
        self._is_requested = False

    def raise_if_requested(self) -> None:
        """Raise `KeyboardInterrupt` if there is a signal that was not acknowledged."""
        if self._is_requested:
            raise KeyboardInterrupt


INTERRUPTION: Final = Interruption()
"""That of this process, which has one set of signal handlers."""
