"""Completes the traces of findings, so that a script of them needs nothing that the verification left on the target.

A finding is often about a run, a result or an artifact that an earlier request made or found. `complete_traces(ledger,
journal)` puts those requests before it: for each ID or cursor in a request, the answer from which it was known; for a
list, the start of a run that it shows. Nothing is sent.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.target.account import starts_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Finding

_NAMES: Final = re.compile(r"\b(?:run|res|art|wh)_[\w-]+")
_CURSOR: Final = re.compile(r'"next_cursor":\s*"([^"]+)"')
_STARTING_AFTER: Final = re.compile(r"(?:^|[?&])starting_after=([^&]+)")

_ABOUT_PAGES: Final = "pages."
"""The beginning of the names of rules that need as many items as were listed."""
_MAKING: Final = frozenset({"startRun", "createWebhook"})
"""The operations that make what later requests name."""
_LIST_OF_RUNS: Final = "listRuns"
"""A list that holds a run in any status."""
_MOST_STARTS: Final = 60


def complete_traces(ledger: Ledger, journal: Sequence[Exchange]) -> None:
    """Put before each finding the requests that made what it is about."""
    if ledger.findings:
        sources = _Sources(ledger, journal)
        for key, finding in ledger.findings.items():
            with suppress(RecursionError):  # an answer may be nested as deep as a target likes
                ledger.findings[key] = replace(finding, trace=sources.complete(finding))


class _Sources:
    """The answers from which each ID and cursor was known."""

    def __init__(self, ledger: Ledger, journal: Sequence[Exchange]) -> None:
        self._ledger = ledger
        self._known: dict[str, list[Exchange]] = defaultdict(list)
        self._made: dict[str, Exchange] = {}
        """The requests that made runs and webhooks."""
        self._changes: dict[str, list[Exchange]] = defaultdict(list)
        """The cancel of each run that was canceled."""
        for exchange in journal:
            made = exchange.response.fields.get("id") if exchange.request.method == "POST" else None
            if exchange.operation in _MAKING and exchange.response.ok and isinstance(made, str):
                self._made.setdefault(made, exchange)
            if exchange.response.ok and exchange.request.method == "POST":
                for name in _NAMES.findall(exchange.request.path):
                    self._changes[name].append(exchange)
            if exchange.response.ok:
                for name in _list_names_of_answer(exchange):
                    self._known[name].append(exchange)

    def complete(self, finding: Finding) -> tuple[Exchange, ...]:
        """Return the trace of a finding, with what its requests need before it."""
        chosen = {exchange.number: exchange for exchange in finding.trace}
        todo = [*finding.trace, *self._find_shown_runs(finding)]
        chosen |= {exchange.number: exchange for exchange in todo}
        last = max(exchange.number for exchange in finding.trace)
        is_about_runs_listed = finding.rule.name.startswith(_ABOUT_PAGES) and finding.operation == _LIST_OF_RUNS
        while todo:
            exchange = todo.pop()
            if starts_run(exchange.request) and not is_about_runs_listed:
                changes = self._changes[str(exchange.response.fields.get("id"))]
                chosen.update({each.number: each for each in changes if each.number < last})
            for name in _list_names_of_request(exchange):
                source = self._find_source(name, exchange, chosen)
                if source is not None:
                    chosen[source.number] = source
                    todo.append(source)
        end = chosen.pop(finding.trace[-1].number)  # which breaks the rule, though it may be an earlier exchange
        return (*(chosen[number] for number in sorted(chosen)), end)

    def _find_source(self, name: str, exchange: Exchange, chosen: dict[int, Exchange]) -> Exchange | None:
        """The request from which a name was known; None if it is in the trace, or the name was made up."""
        if (made := self._made.get(name)) is not None and made.number < exchange.number:
            return None if made.number in chosen else made
        before = [each for each in self._known.get(name, ()) if each.number < exchange.number]
        if not before or any(each.number in chosen for each in before):
            return None
        return next((each for each in before if _NAMES.search(each.request.target)), before[0])

    def _find_shown_runs(self, finding: Finding) -> list[Exchange]:
        """The starts of the runs that the finding is about, where no request names them."""
        if finding.rule.name.startswith(_ABOUT_PAGES):
            shown = [self._find_starts(each.response.body.decode("utf-8", "replace"), each) for each in finding.trace]
            return list({start.number: start for starts in shown for start in starts}.values())[:_MOST_STARTS]
        if any(_list_names_of_request(each) or starts_run(each.request) for each in finding.trace):
            return []
        last = finding.trace[-1]
        broken = (item for item in last.response.items if self._is_broken(finding, last, item))
        for text in (*map(json.dumps, broken), finding.got):
            if starts := self._find_starts(text, last):
                return starts[:1]
        return []

    def _find_starts(self, text: str, exchange: Exchange) -> list[Exchange]:
        """The starts of the runs that a text names, and that were made before an exchange."""
        starts = (self._made.get(name) for name in dict.fromkeys(_NAMES.findall(text)))
        return [start for start in starts if start is not None and start.number < exchange.number]

    def _is_broken(self, finding: Finding, exchange: Exchange, item: dict[str, Any]) -> bool:
        """Whether an item of a list breaks the rule by itself."""
        body = json.dumps({**exchange.response.fields, "data": [item]}).encode()
        alone = replace(exchange, response=replace(exchange.response, body=body, _json=[]))
        scratch = Ledger(self._ledger.target, rules=[finding.rule])
        ConformanceCheck(scratch)(alone)
        return bool(scratch.findings)


def _list_names_of_answer(exchange: Exchange) -> set[str]:
    text = exchange.response.body.decode("utf-8", "replace")
    return {*_NAMES.findall(text), *_CURSOR.findall(text)}


def _list_names_of_request(exchange: Exchange) -> set[str]:
    request = exchange.request
    cursors = {unquote(cursor) for cursor in _STARTING_AFTER.findall(request.query)}
    return {*_NAMES.findall(f"{request.target} {request.body.decode('utf-8', 'replace')}"), *cursors}
