"""The deployment that recorded traffic went to, as reports describe it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_contracts.contract.rules import Rule
    from zof_contracts.traffic.keys import KeyNames
    from zof_contracts.traffic.recording import RecordedExchange

_UNKNOWN: Final = "https://api.zof.ai"
_STRICT: Final = "strict"


class RecordedSubject:
    """A deployment that others sent requests to; it has the form of `zof_contracts.evidence.subject.Subject`."""

    is_in_process = False
    can_move_clock = False
    profile = "recorded"
    project = ""
    environment = ""
    cases: tuple[str, ...] = ()

    def __init__(self, keys: KeyNames, *, is_strict: bool = False) -> None:
        self._keys = keys
        self.is_strict = is_strict
        self.base = _UNKNOWN
        """The URL without `/v1`, as the exchange that is being judged used it; at the end, as most of them did."""
        self._bases: Counter[str] = Counter()

    @property
    def keys(self) -> Mapping[str, str]:
        """The API keys by name; a key that the recordings mask is empty."""
        return {name: self._keys.secrets.get(name, "") for name in self._keys.names}

    @property
    def exchange_count(self) -> int:
        """The number of exchanges."""
        return self._bases.total()

    def turn_to(self, each: RecordedExchange) -> None:
        """Note that an exchange is about to be judged."""
        self.base = each.base
        self._bases[each.base] += 1

    def conclude(self) -> None:
        """Note that all exchanges have been judged."""
        self.base = next((base for base, _ in self._bases.most_common(1)), _UNKNOWN)

    def redact(self, text: str) -> str:
        """The text with every key replaced by its name."""
        return self._keys.redactor().text(text)

    def lacks(self, rule: Rule) -> tuple[str, ...]:
        """The needs of a rule that a recording does not meet, as far as that can be known."""
        return (_STRICT,) if _STRICT in rule.needs and not self.is_strict else ()
