"""Judges a fault rule by the document: operations, paths, fields, errors and statuses that a rule names must exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_emulator.core.faults import DIGEST, EffectKind
from zof_emulator.core.fields import LONGEST_ECHO, InvalidField, describe_nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from zof_emulator.core.faults import FaultRule, Match
    from zof_emulator.spec.operation import Operation

FIRST_ERROR: Final = 400
"""The first status of errors."""
_RETRY_AFTER: Final = "retry-after"


class FaultJudge:
    """Judges fault rules by the operations of a document."""

    def __init__(self, operations: Iterable[Operation], prefix: str) -> None:
        """`prefix` precedes the paths of the operations, as `/v1` does."""
        self._operations = {one.id: one for one in operations}
        self._prefix = prefix

    def judge(self, rule: FaultRule, organizations: Collection[str], keys: Iterable[str]) -> FaultRule:
        """Return the rule.

        Args:
            rule: a rule that is valid by itself.
            organizations: the organizations of the world.
            keys: the digests of the keys of the world, which no message shows.

        Raises:
            InvalidField: the rule names something that does not exist.
        """
        match = rule.match
        if match.operation and match.operation not in self._operations:
            expected = f"an operation ID such as startRun{describe_nearest(match.operation, self._operations)}"
            raise InvalidField("match.operation", match.operation, expected)
        named = [self._operations[match.operation]] if match.operation else list(self._operations.values())
        if match.organization and match.organization not in organizations:
            expected = f"an organization of the world{describe_nearest(match.organization, organizations)}"
            raise InvalidField("match.organization", match.organization, expected)
        if match.key and match.key.removeprefix(DIGEST) not in set(keys):
            raise InvalidField("match.key", "", "a key of the world")
        found = self._on_path(match, named)
        _judge_body(match, found)
        _judge_effect(rule, found)
        return rule

    def _on_path(self, match: Match, operations: list[Operation]) -> list[Operation]:
        """The operations with the path of a rule."""
        if not match.path:
            return operations
        found = [one for one in operations if _matches_template(match.path, self._prefix + one.path)]
        if found:
            return found
        paths = [self._prefix + one.path for one in operations]
        raise InvalidField("match.path", match.path, f"the path of an operation{describe_nearest(match.path, paths)}")


def _matches_template(path: str, template: str) -> bool:
    parts, pattern = path.split("/"), template.split("/")
    return len(parts) == len(pattern) and all(
        one == wanted or (wanted.startswith("{") and one) for one, wanted in zip(parts, pattern, strict=True)
    )


def _judge_body(match: Match, operations: list[Operation]) -> None:
    if match.body is None:
        return
    name = match.body[0]
    names = frozenset().union(*(one.body.rules.names for one in operations if one.body is not None))
    if name not in names:
        expected = "a field of the request's body" if names else "no match.body; these requests have no body"
        raise InvalidField(f"match.body.{name[:LONGEST_ECHO]}", match.body[1], expected + describe_nearest(name, names))


def _judge_effect(rule: FaultRule, operations: list[Operation]) -> None:
    effect = rule.effect
    common = frozenset.intersection(*(frozenset(one.reasons) for one in operations))
    if effect.kind is EffectKind.ERROR and effect.error not in common:
        raise InvalidField("effect.error", effect.error, _explain_error(effect.error, common, operations))
    if effect.retry_after is not None:
        for one in operations:
            if _RETRY_AFTER not in one.answers[one.reasons[effect.error].status].known:
                expected = f"none; the document has no Retry-After for {effect.error}"
                raise InvalidField("effect.retry_after", effect.retry_after, expected)
    if effect.kind is EffectKind.STATUS and not effect.is_undocumented:
        statuses = frozenset.intersection(*(frozenset(one.answers) for one in operations))
        if effect.status not in statuses:
            listed = ", ".join(map(str, sorted(statuses)))
            expected = f"a documented status ({listed}), or add undocumented: true"
            raise InvalidField("effect.status", effect.status, expected)


def _explain_error(name: str, common: frozenset[str], operations: list[Operation]) -> str:
    """The advice for an error that the operations do not share."""
    owners = [one.id for one in operations if name in one.reasons]
    if owners:
        return f"it only with match.operation {' or '.join(owners)}"
    by_code = sorted({reason for one in operations for reason, text in one.reasons.items() if text.code == name})
    if by_code:
        return f"the name of an error with this code: {', '.join(by_code)}"
    return f"the name of a documented error, as in rate_limited{describe_nearest(name, common)}"
