"""The reactions of a client: the requests that it sent after each fault, as the journal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.faults import EffectKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_KEY: Final = "idempotency-key"
_MOST: Final = 3
"""Reactions that are described."""
_SECOND: Final = 1_000
_ANSWERED: Final = frozenset({EffectKind.ERROR, EffectKind.STATUS})
_LATE: Final = frozenset({EffectKind.LATENCY, EffectKind.DRIP})


def describe_reactions(exchanges: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each of the first faults that the client met, and a line that counts the others.

    `exchanges` are those of a journal as JSON, the oldest first.
    """
    met = [index for index, each in enumerate(exchanges) if each["fault"] is not None]
    for index in met[:_MOST]:
        yield _describe_reaction(exchanges[index], exchanges[index + 1 :])
    if met[_MOST:]:
        yield f"{len(met) - _MOST} more faults were met"


def _describe_reaction(exchange: Mapping[str, Any], later: Sequence[Mapping[str, Any]]) -> str:
    what = f"{exchange['request']['method']} {exchange['request']['path']} {_describe_fault(exchange)}"
    follower = next((each for each in later if _find_target(each) == _find_target(exchange)), None)
    if follower is None:
        return f"{what}: not sent again"
    wait = (follower["at_ms"] - exchange["at_ms"]) / _SECOND
    keys = [dict(each["request"]["headers"]).get(_KEY) for each in (exchange, follower)]
    word = "the same" if keys[0] == keys[1] else "another"
    key = "" if keys == [None, None] else f" with {word} Idempotency-Key"
    return f"{what}: sent again after {wait:.2f} s{key}"


def _find_target(exchange: Mapping[str, Any]) -> tuple[str, str]:
    return exchange["request"]["method"], exchange["request"]["path"]


def _describe_fault(exchange: Mapping[str, Any]) -> str:
    """The effect of a fault on the client."""
    effect = EffectKind(exchange["fault"]["effect"])
    if effect in _ANSWERED:
        return f"was answered {exchange['response']['status']}"
    return "was answered late" if effect in _LATE else "lost its answer"
