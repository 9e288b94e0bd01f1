"""Actions: what the machine does with a target, each a few requests and the claims that follow from them.

Every request goes through the client, every claim to the ledger; the model says what must be so. Plug in:
`Actions(client, ledger)`, then `start`, `cancel`, `finish`, `walk_runs`, … in any order. `hunt`, when given, is told the
key of each finding as it is made, so that a search may stop there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.search.model import Claim, JsonObject, Model, exported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.target.client import Client

_PAGES: Final = 40
"""A walk that is longer is given up, unjudged."""
_STEP: Final = 3.0

NASTY_IDS: Final = (
    "%20", "%00",
    "run_%0d%0aX-Injected:1", "run_" + "a" * 65, "%F0%9F%98%80", "..", "run_%27%20OR%201=1",
    "%25", "-1", "0",
    "null", "%E2%80%AErun_1", "run_%5c", "RUN_x", "run_", "res_1", "undefined", "run_*", "%7B%7D", "%ff",
)  # fmt: skip
"""IDs that name nothing, as they stand in a path."""
NASTY_VALUES: Final = (
    " ", "\t", "\x00", "\u202e", "\U0001f600", "'", '"', "\\", "<b>", "=1+1", "%s", "{}", "null", "-0", "1e9", "NaN",
    "\uff10", "2026-13-01T00:00:00Z", "2026-01-01",
    "0000-00-00T00:00:00Z", "2026-01-01T24:00:00Z", "9" * 40, "passed,failed", "PASSED", "passed ",
)  # fmt: skip
"""Values that no filter takes."""


class Actions:
    """Drives a target and holds it to the model."""

    def __init__(self, client: Client, ledger: Ledger, hunt: Callable[[str], None] = lambda _: None) -> None:
        self.client = client
        self.ledger = ledger
        self.hunt = hunt
        self.model = Model(load_contract())
        self.mine: list[str] = []
        """The runs to work with, in the order in which they were started."""
        self.since: str | None = None
        self.began = len(client.journal)
        self.full = client.target.profile == "full"

    def claim(self, claims: Iterable[Claim]) -> None:
        """Hand claims to the ledger."""
        for rule, holds, expected, got, of in claims:
            before = dict(self.ledger.findings)
            trace = self._trace(of)
            self.ledger.check(rule, holds, expected=expected, got=got, trace=trace)
            for key, finding in self.ledger.findings.items():
                if before.get(key) is not finding:
                    self.hunt(key)

    def _trace(self, of: str) -> list[Exchange]:
        """What was sent, up to the last answer of an operation if one is named."""
        sent = self.client.journal[self.began :]
        while of and sent and sent[-1].operation != of:
            sent.pop()
        return sent

    # --- runs

    def adopt(self) -> None:
        """Take the runs that are there, for a profile that starts none."""
        for run in self.client.get("/runs", limit=5).response.items:
            self._mine(run.get("id"), run)

    def start(self, cases: tuple[str, ...]) -> None:
        """Start a run, and retrieve it at once."""
        exchange = self.client.start(*cases)
        self.claim(self.model.started(_order(exchange), exchange.response))
        self._started(exchange)

    def start_keyed(self, key: str, cases: tuple[str, ...], *, spaced: bool) -> None:
        """Start a run under an idempotency key, which may have been used before."""
        fields = {"project_id": self.client.target.project, "environment": self.client.target.environment}
        body = {**fields, "test_case_ids": list(cases)}
        sent: object = json.dumps(dict(reversed(body.items())), indent=2).encode() if spaced else body
        first = key not in self.model.kept
        exchange = self.client.post("/runs", sent, idempotency_key=key)
        self.claim(self.model.keyed(key, body, exchange.response, spaced=spaced))
        if first and exchange.response.ok:
            self._started(exchange)

    def _started(self, exchange: Exchange) -> None:
        run = exchange.response.fields
        if not exchange.response.ok or not isinstance(run.get("id"), str):
            return
        shown = self.client.get(f"/runs/{run['id']}").response
        same = shown.fields.get("id") == run["id"]
        self.claim([Claim("runs.start.retrievable", same, "the run that was started", f"{shown.status}")])
        self._mine(run["id"], run)

    def _mine(self, name: object, run: JsonObject) -> None:
        if isinstance(name, str) and name not in self.mine:
            self.mine.append(name)
            self.since = self.since or run.get("created_at")

    def show(self, name: str) -> JsonObject:
        """Retrieve a run."""
        return self.client.get(f"/runs/{name}").response.fields

    def cancel(self, name: str) -> None:
        """Cancel a run, and look at it before and after."""
        before = self.show(name)
        answer = self.client.post(f"/runs/{name}/cancel").response
        after = self._settled(name) if answer.ok else self.show(name)
        self.claim(self.model.canceled(before, answer, after))

    def _settled(self, name: str) -> JsonObject:
        """A run whose cancel was accepted, when that is done; it may be done later."""
        shown = self.show(name)
        for _ in range(3):
            if self.model.ended(shown):
                break
            self.client.wait(1, "a cancel that was accepted")
            shown = self.show(name)
        return shown

    def finish(self, name: str) -> JsonObject:
        """Watch a run until it ends, or patience does."""
        shown = self.show(name)
        left = 600.0 if self.client.target.advance else self.client.target.patience
        while shown and not self.model.ended(shown) and left > 0:
            self.client.wait(_STEP, "a run that runs")
            left -= _STEP
            shown = self.show(name)
        if shown and (self.model.ended(shown) or self.client.target.advance):
            self.claim([Claim("runs.progress", self.model.ended(shown), "an end", str(shown.get("status")))])
        return shown

    # --- lists

    def walk(self, path: str, limit: int, **query: Any) -> list[JsonObject] | None:  # noqa: ANN401  parameters
        """All items of a list; None when it has no end that we see."""
        items: list[JsonObject] = []
        cursor: object = None
        for _ in range(_PAGES):
            page = self.client.get(path, limit=limit, starting_after=cursor, **query).response
            items += page.items
            cursor = page.fields.get("next_cursor")
            if not page.ok or not page.fields.get("has_more") or not cursor:
                return items if page.ok else None
        return None

    def walk_runs(self, limit: int, *, starting: bool) -> None:
        """Walk the list of runs since the first of ours; a run may be started behind the first page."""
        query: dict[str, Any] = {"created_after": self.since}
        shown = [self.show(name) for name in self.mine[:2]]
        page = self.client.get("/runs", limit=limit, **query).response
        wanted = list(self.mine)
        if starting:
            self.start(())
        items, cursor = page.items, page.fields.get("next_cursor")
        for _ in range(_PAGES):
            if not cursor or not page.fields.get("has_more"):
                break
            page = self.client.get("/runs", limit=limit, starting_after=cursor, **query).response
            items, cursor = items + page.items, page.fields.get("next_cursor")
        else:
            return
        names = [item.get("id") for item in items]
        self.claim(self.model.walked(f"pages.walk{'.under-change' * starting}", names, wanted))
        for run in shown:
            self.claim(
                claim for item in items if item.get("id") == run.get("id") for claim in self.model.listed(run, item)
            )

    def filter_status(self, status: str) -> None:
        """List the runs in a status; ours that are and stay in it are there, and no others."""
        ours = {name for name in self.mine[:5] if self.show(name).get("status") == status}
        items = self.walk("/runs", 50, status=status, created_after=self.since)
        if items is None:
            return
        wrong = {str(item.get("status")) for item in items} - {status}
        gone = ours - {item.get("id") for item in items}
        # A run may go on while the list is read, and the clock is moved while a rate limit is waited out.
        lost = {name for name in gone if self.show(name).get("status") == status}
        fine = not wrong and not lost
        claim = Claim(
            "runs.filter.status",
            fine,
            "the runs in that status, all and alone",
            f"{len(lost)} lost; {wrong}",
            "listRuns",
        )
        self.claim([claim])

    # --- results

    def results(self, name: str, limit: int) -> list[JsonObject]:
        """The results of a run beside the run; one of them is retrieved."""
        before = self.show(name)
        results = self.walk("/results", limit, run_id=name)
        # A run may end while its results are listed; what was seen then says nothing.
        run = before if self.model.ended(before) else self.show(name)
        if results is None or not run:
            return []
        if self.model.ended(before) is self.model.ended(run):
            self.claim(self.model.results(run, results))
        for one in results[:1]:
            again = self.client.get(f"/results/{one.get('id')}").response
            self.claim([Claim("results.get", again.fields == one, "the result as it is listed", f"{again.status}")])
        return results

    def export(self, name: str) -> None:
        """The export of an ended run's results beside the list."""
        if not self.model.ended(self.show(name)):
            return
        listed = self.walk("/results", 50, run_id=name)
        answer = self.client.post("/results/export", {"format": "json", "run_id": name}).response
        if listed is not None and answer.ok:
            self.claim([exported(listed, answer.items)])

    def follow_logs(self, name: str, limit: int) -> None:
        """Read the log of an ended run in small pages and at once."""
        if not self.model.ended(self.show(name)):
            return
        pieces, whole = (self.walk(f"/runs/{name}/logs", size) for size in (limit, 100))
        if pieces is not None and whole is not None:
            claim = Claim(
                "logs.follow.complete", pieces == whole, "the log read at once", f"{len(pieces)} of {len(whole)} lines"
            )
            self.claim([claim])

    def artifacts(self, name: str) -> None:
        """The artifacts of a run beside those of one of its results."""
        outcomes = self.show(name).get("case_outcomes") or []  # with results only when nothing is added any more
        whole = self.walk(f"/runs/{name}/artifacts", 50)
        for outcome in outcomes[:1]:
            if isinstance(result := outcome.get("result_id"), str) and whole is not None:
                own = self.walk(f"/results/{result}/artifacts", 50) or []
                known: list[Any] = [one.get("id") for one in whole]
                held = all(one.get("id") in known for one in own)
                self.claim(
                    [Claim("artifacts.run-holds-all", held, "the results' artifacts in the run's list", "fewer")]
                )

    # --- strangers

    def foreign(self, name: str) -> None:
        """Another organization looks at a run, and cancels it if it may."""
        for path in (f"/runs/{name}", f"/runs/{name}/logs", f"/runs/{name}/artifacts"):
            status = self.client.get(path, key="other-org").response.status
            self.claim([Claim("tenants.run", status == 404, "404", str(status))])  # noqa: PLR2004
        if self.full and not self.model.ended(self.show(name)):
            status = self.client.post(f"/runs/{name}/cancel", key="other-org").response.status
            self.claim([Claim("tenants.run", status == 404, "404", str(status))])  # noqa: PLR2004

    def nasty_id(self, name: str) -> None:
        """Retrieve what does not exist."""
        status = self.client.get(f"/runs/{name}").response.status
        self.claim([Claim("conventions.path-id", status == 404, "404", str(status))])  # noqa: PLR2004

    def nasty_value(self, name: str, value: str) -> None:
        """Filter by what no filter takes."""
        query: dict[str, Any] = {name: value}
        status = self.client.get("/runs", **query).response.status
        self.claim([Claim("runs.filter.refused", status == 400, "400", str(status))])  # noqa: PLR2004


def _order(exchange: Exchange) -> dict[str, Any]:
    order: dict[str, Any] = json.loads(exchange.request.body)
    return order
