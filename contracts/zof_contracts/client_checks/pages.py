"""Judges of how a client reads lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from zof_contracts.client_checks.judge import ClientId, Judge, identify, is_success, shorten
from zof_contracts.contract.resources import load_resources
from zof_contracts.evidence.findings import quote_value
from zof_contracts.evidence.memory import Memory

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import RecordedExchange, RecordingStarted

_CURSOR: Final = "starting_after"
_LIMIT: Final = "limit"

Filters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that an answer gave."""

    path: str
    filters: Filters
    exchange: Exchange
    may_stand_alone: bool
    """Whether it is a first page whose length the client chose."""


class PageJudge(Judge):
    """Judges the cursors of each list."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._pages: Memory[tuple[str, str], _Page] = Memory()
        """The page that gave a cursor, by API and cursor."""
        self._open: Memory[tuple[ClientId, str, Filters], _Page] = Memory()
        """The pages with a next one that was not requested yet."""

    def observe(self, each: RecordedExchange) -> None:
        """Judge a request for a page."""
        exchange = each.exchange
        if exchange.operation not in load_resources().pages:
            return
        query = parse_qsl(exchange.request.query, keep_blank_values=True)
        cursor = next((value for name, value in query if name == _CURSOR), None)
        filters = tuple(sorted(pair for pair in query if pair[0] not in {_CURSOR, _LIMIT}))
        if cursor is not None:
            self._check_cursor(each, cursor, filters)
        if is_success(each) and each.is_answer_whole:
            self._remember(each, filters, may_stand_alone=cursor is None and any(name == _LIMIT for name, _ in query))

    def _check_cursor(self, each: RecordedExchange, cursor: str, filters: Filters) -> None:
        exchange = each.exchange
        page = self._pages.get((each.base, cursor))
        if page is None and (not self.recording.is_complete or self._pages.has_forgotten):
            return
        self.ledger.check(
            "client.pages.cursor-given",
            page is not None,
            expected="a next_cursor of an earlier answer",
            got=f"{_CURSOR} {quote_value(cursor)}",
            trace=shorten(each),
            place=exchange.operation,
        )
        if page is None:
            return
        is_same = (page.path, page.filters) == (exchange.request.path, filters)
        self.ledger.check(
            "client.pages.same-list",
            is_same,
            expected=f"{page.path} with the filters {dict(page.filters)}",
            got=f"{exchange.request.path} with the filters {dict(filters)}",
            trace=(page.exchange, shorten(each)),
        )
        self._open.pop((identify(each), page.path, page.filters))

    def _remember(self, each: RecordedExchange, filters: Filters, *, may_stand_alone: bool) -> None:
        exchange = each.exchange
        fields, path = exchange.response.fields, exchange.request.path
        page = _Page(path, filters, shorten(each), may_stand_alone)
        if isinstance(fields.get("next_cursor"), str):
            self._pages.set((each.base, fields["next_cursor"]), page)
        if fields.get("has_more") is True:
            self._open.set((identify(each), path, filters), page)
        elif fields.get("has_more") is False:
            self.ledger.record_kept("client.pages.to-end")

    def finish(self) -> None:
        """Judge the lists that were not read to their end."""
        for page in self._open.values():
            if not page.may_stand_alone:
                self.ledger.record_violation(
                    "client.pages.to-end",
                    expected="a request for the next page, since has_more is true",
                    got="no such request",
                    trace=page.exchange,
                )
