"""The contract as a pure model: what is known of the runs that were started, and what must therefore be so.

It reads statuses and transitions from the document and knows no client: every function takes what was answered and
gives `Claim`s, each a rule and whether it holds. Plug in: `Model(load_contract())`; whoever drives a target hands each claim to
a ledger. What one answer shows by itself is the tap's to judge, what two show is the oracle's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zof_contracts.contract.document import Contract
    from zof_contracts.evidence.exchange import Response

JsonObject = dict[str, Any]
"""A JSON object."""


class Claim(NamedTuple):
    """A rule, whether it holds, and what to say when it does not."""

    rule: str
    holds: bool
    expected: str
    got: str
    of: str = ""
    """The operation whose last answer breaks it; empty when that is the last of all."""


@dataclass(slots=True)
class Known:
    """A run as it was last shown, and what it was asked for."""

    order: Mapping[str, Any]
    shown: JsonObject

    @property
    def status(self) -> str:
        """Its status when it was last seen."""
        return str(self.shown.get("status"))


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer to an idempotency key."""

    body: object
    spaced: bool
    """Whether the body was spaced out."""
    response: Response


@dataclass(slots=True)
class Model:
    """What must be so."""

    contract: Contract
    runs: dict[str, Known] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)

    @property
    def first(self) -> frozenset[str]:
        """The statuses that nothing leads to: in one of these a run begins."""
        table = self.contract.transitions
        return frozenset(table) - {status for after in table.values() for status in after}

    def ended(self, run: JsonObject) -> bool:
        """Whether a run's status is terminal."""
        return run.get("status") in self.contract.terminal

    def started(self, order: Mapping[str, Any], response: Response) -> Iterator[Claim]:
        """A start was accepted or not; without an idempotency key every one makes a run."""
        name = response.fields.get("id")
        good = response.ok and isinstance(name, str)
        yield Claim("runs.start.accepted", good, "a run with an id", f"{response.status}")
        if good:
            again = name in self.runs
            yield Claim("idempotency.without-key", not again, "a run for each start", "a run that was started before")
            begins = response.fields.get("status") in self.first
            yield Claim("runs.start.queued", begins, f"{_words(self.first)}", str(response.fields.get("status")))
            self.runs[str(name)] = Known(order, response.fields)

    def keyed(self, key: str, body: object, response: Response, *, spaced: bool) -> Iterator[Claim]:
        """A start with an idempotency key was answered: the first one, a replay, or one with another body."""
        kept = self.kept.get(key)
        if kept is None:
            if response.ok:
                self.kept[key] = Kept(body, spaced, response)
                unmarked = response.header("idempotency-replayed") is None
                yield Claim("idempotency.replay.header", unmarked, "no Idempotency-Replayed at first", "one")
        elif kept.body == body:
            rule = "replay" if kept.spaced is spaced else "spacing"
            yield from _replayed(f"idempotency.{rule}", kept.response, response)
        else:
            param = response.error.get("param")
            conflict = (response.status, param) == (409, "Idempotency-Key")
            yield Claim("idempotency.other-body", conflict, "409 Idempotency-Key", f"{response.status} {param}")

    def canceled(self, before: JsonObject, answer: Response, after: JsonObject) -> Iterator[Claim]:
        """A run was canceled: how it was, what was answered, how it is when it has settled."""
        was, now, cancel = str(before.get("status")), str(after.get("status")), "cancelRun"
        if self.ended(before):
            rule = "again" if was == "canceled" else "terminal"
            yield Claim(f"runs.cancel.{rule}-conflict", answer.status == 409, "409", str(answer.status), cancel)  # noqa: PLR2004
            unchanged = before == after
            yield Claim("runs.cancel.terminal-unchanged", unchanged, "the run as it was", _difference(before, after))
        elif now == "canceled":
            yield Claim("runs.cancel.accepted", answer.ok, "2xx", str(answer.status), cancel)
            yield from self._cut_off(before, after)
        elif answer.fields.get("status") == "canceled":
            rule = "race" if self.ended(after) else "accepted"
            yield Claim(f"runs.cancel.{rule}", False, "the run canceled, as was answered", now)  # noqa: FBT003
        elif not self.ended(after):
            yield Claim("runs.cancel.accepted", False, "the run canceled", f"{answer.status}, and {now}", cancel)  # noqa: FBT003

    def _cut_off(self, before: JsonObject, after: JsonObject) -> Iterator[Claim]:
        for was, now in zip(_outcomes(before), _outcomes(after), strict=False):
            if was.get("status") in self.contract.terminal:
                same = was["status"] == now.get("status")
                yield Claim("runs.cancel.outcomes", same, "finished cases keep their outcome", str(now.get("status")))
            else:
                settled = now.get("status") in self.contract.terminal
                yield Claim("runs.cancel.outcomes", settled, "the other cases canceled", str(now.get("status")))

    def results(self, run: JsonObject, results: Sequence[JsonObject]) -> Iterator[Claim]:
        """The results of a run, when it has ended and before."""
        if not self.ended(run):
            yield Claim("results.not-before", not results, "no result yet", f"{len(results)} results")
            return
        outcomes = _outcomes(run)
        cases = [one.get("test_case_id") for one in results]
        complete = len(results) == len(outcomes) and len(set(map(str, cases))) == len(cases)
        yield Claim("results.per-case", complete, "one result for each case", f"{len(results)} for {len(outcomes)}")
        by_case = {one.get("test_case_id"): one for one in outcomes}
        for one in results:
            yield from _agreeing(run, by_case.get(one.get("test_case_id"), {}), one)

    def listed(self, shown: JsonObject, item: JsonObject) -> Iterator[Claim]:
        """A run in a list beside the run as it was retrieved; only one that has ended stands still."""
        if self.ended(shown):
            apart = sorted(name for name in item.keys() & shown.keys() if item[name] != shown[name])
            yield Claim(
                "runs.list-agrees", not apart, "the run as it is retrieved", f"otherwise: {_words(apart)}", "listRuns"
            )

    def walked(self, rule: str, names: Sequence[object], wanted: Sequence[str]) -> Iterator[Claim]:
        """A list was walked: each of its items once, and all that must be there."""
        twice = len(names) - len(set(names))
        lost = set(wanted) - set(names)
        yield Claim(
            rule, not twice and not lost, "every item once", f"{twice} twice, {len(lost)} not at all", "listRuns"
        )


def exported(listed: Sequence[JsonObject], data: Sequence[JsonObject]) -> Claim:
    """An export beside the list with the same filters."""
    rule, expected = "exports.equals-list", "what the list holds, in its order"
    return Claim(rule, list(listed) == list(data), expected, f"{len(data)} of {len(listed)}, or otherwise")


def _replayed(rule: str, first: Response, response: Response) -> Iterator[Claim]:
    same = response.fields.get("id") == first.fields.get("id")
    yield Claim(rule, same, "the run of the first answer", "another" if response.ok else "no run")
    if same:
        whole = (response.status, response.body) == (first.status, first.body)
        yield Claim("idempotency.replay.bytes", whole, "the first answer, byte for byte", "another")
        mark = response.header("idempotency-replayed")
        yield Claim("idempotency.replay.header", mark == "true", "Idempotency-Replayed: true on a replay", str(mark))


def _agreeing(run: JsonObject, outcome: JsonObject, result: JsonObject) -> Iterator[Claim]:
    pairs: dict[str, Any] = {
        name: (run[name], result[name]) for name in ("project_id", "environment") if name in run.keys() & result
    }
    pairs |= {
        name: (outcome[name], result[name]) for name in ("status", "duration_ms") if name in outcome.keys() & result
    }
    apart = sorted(name for name, (ours, theirs) in pairs.items() if ours != theirs)
    yield Claim("results.agree", not apart, "what the run says", f"otherwise: {_words(apart)}")


def _outcomes(run: JsonObject) -> list[JsonObject]:
    outcomes = run.get("case_outcomes")
    return [one for one in outcomes if isinstance(one, dict)] if isinstance(outcomes, list) else []


def _difference(before: JsonObject, after: JsonObject) -> str:
    apart = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return f"changed: {_words(apart)}"


def _words(names: object) -> str:
    return ", ".join(sorted(map(str, names))) if isinstance(names, (list, set, frozenset)) else str(names)
