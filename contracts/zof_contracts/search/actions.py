"""The actions of the state machine: each sends a few requests and records the claims that follow from the answers.

`Actions(client, ledger)` offers `start`, `cancel`, `finish`, `walk_runs` and more, to be called in any order.
`on_finding`, if given, is called with the key of each finding as it is recorded, so that a search can stop there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import (
    check_artifact_lists,
    check_end,
    check_export,
    check_followed_log,
    check_listed_run,
    check_replay_effect,
    check_retrieved_result,
    check_retrieved_run,
    check_status,
    check_status_filter,
    check_walk,
    has_ended,
    list_outcomes,
)
from zof_contracts.search.model import JsonObject, Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Claim
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.target.client import Client

_PAGES: Final = 40
"""The pages after which reading a list is given up without a judgement."""
_FIRST_STEP: Final = 0.5
"""Seconds between the first two looks at a run; each later step is twice as long."""
_LONGEST_STEP: Final = 3.0
_LARGEST_PAGE: Final = 100
_NOT_FOUND: Final = 404
_INVALID: Final = 400

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
"""Values that no filter accepts."""


class Actions:
    """Drives a target and judges it by the model."""

    def __init__(self, client: Client, ledger: Ledger, on_finding: Callable[[str], None] = lambda _: None) -> None:
        self.client = client
        self.ledger = ledger
        self.on_finding = on_finding
        self.model = Model()
        self.runs: list[str] = []
        """The runs to work with, in the order in which they were started."""
        self.since: str | None = None
        """When the oldest of them was created; None when that is not known."""
        self.began = len(client.journal)
        self._starts_before = client.account.starts
        self.can_start_runs = client.target.profile == "full"

    def record(self, claims: Iterable[Claim]) -> None:
        """Record claims that follow from what was sent since the beginning."""
        for claim in claims:
            before = dict(self.ledger.findings)
            self.ledger.record(claim, self.client.journal[self.began :])
            for key, finding in self.ledger.findings.items():
                if before.get(key) is not finding:
                    self.on_finding(key)

    # --- runs

    def list_open_runs(self) -> list[str]:
        """The runs that are not known to have ended."""
        return [run_id for run_id in self.runs if run_id not in self.client.ended]

    def adopt_runs(self) -> None:
        """Work with runs that exist, in a profile that starts none."""
        for run in self.client.get("/runs", limit=5).response.items:
            self._add(run.get("id"), run)

    def start(self, cases: tuple[str, ...]) -> None:
        """Start a run, and retrieve it at once."""
        exchange = self.client.start(*cases)
        self.record(self.model.record_start(exchange.response))
        self._retrieve_started(exchange)

    def start_keyed(self, key: str, cases: tuple[str, ...], *, is_spaced: bool) -> None:
        """Start a run with an idempotency key, which may have been used before."""
        fields = {"project_id": self.client.target.project, "environment": self.client.target.environment}
        body = {**fields, "test_case_ids": list(cases)}
        sent: object = json.dumps(dict(reversed(body.items())), indent=2).encode() if is_spaced else body
        stored = self.model.answers.get(key)
        is_replay = stored is not None and stored.body == body
        if stored is not None and is_replay:
            with self.client.exclude_starts():
                before = self._list_newest()
                exchange = self.client.post("/runs", sent, idempotency_key=key)
                self.record(self.model.record_keyed_start(key, body, exchange.response, is_spaced=is_spaced))
                after = self._list_newest()
                self.record([check_replay_effect(stored.response.fields, before, after, self.client.started)])
            return
        exchange = self.client.post("/runs", sent, idempotency_key=key)
        self.record(self.model.record_keyed_start(key, body, exchange.response, is_spaced=is_spaced))
        if stored is None and exchange.response.ok:
            self._retrieve_started(exchange)

    def _list_newest(self) -> list[JsonObject]:
        return self.client.get("/runs", limit=100, created_after=self.since).response.items

    def _retrieve_started(self, exchange: Exchange) -> None:
        run = exchange.response.fields
        if not exchange.response.ok or not isinstance(run.get("id"), str):
            return
        answer = self.client.get(f"/runs/{run['id']}").response
        self.record([check_retrieved_run(run["id"], answer)])
        self._add(run["id"], run)

    def _add(self, run_id: object, run: JsonObject) -> None:
        if isinstance(run_id, str) and run_id not in self.runs:
            created = run.get("created_at")
            if not isinstance(created, str):
                self.since = None
            elif not self.runs or (self.since is not None and created < self.since):
                self.since = created
            self.runs.append(run_id)

    def retrieve(self, run_id: str) -> JsonObject:
        """Retrieve a run."""
        return self.client.get(f"/runs/{run_id}").response.fields

    def cancel(self, run_id: str) -> None:
        """Cancel a run, and retrieve it before and after."""
        before = self.retrieve(run_id)
        answer = self.client.post(f"/runs/{run_id}/cancel").response
        after = self._wait_for_cancel(run_id) if answer.ok else self.retrieve(run_id)
        self.record(self.model.record_cancel(before, answer, after))

    def _wait_for_cancel(self, run_id: str) -> JsonObject:
        """The run after a cancel was accepted; a deployment may carry it out a little later."""
        run = self.retrieve(run_id)
        for _ in range(3):
            if has_ended(run):
                break
            self.client.wait(1, "a cancel that was accepted")
            run = self.retrieve(run_id)
        return run

    def finish(self, run_id: str) -> JsonObject:
        """Retrieve a run until it has ended, or the patience of the target is used up."""
        run, patience = self.retrieve(run_id), self.client.patience
        waited, step = 0.0, _LONGEST_STEP if patience.is_free else _FIRST_STEP
        while run and not has_ended(run) and (left := patience.measure() - waited) > 0:
            ends = self.client.account.count_ends()
            self.client.wait(min(step, left), "a run in progress")
            run = self.retrieve(run_id)
            # A run waits in the queue behind those of other stories, so that it has its time after each of them.
            waited = waited + min(step, left) if self.client.account.count_ends() == ends else 0.0
            step = min(2 * step, _LONGEST_STEP)
        if run and not has_ended(run) and (note := self.client.patience.use_up(run_id, run.get("status"))):
            self.client.notes.setdefault(note)
        if run and (has_ended(run) or self.client.target.advance):
            self.record([check_end(run)])
        return run

    # --- lists

    def walk(self, path: str, limit: int, **query: Any) -> list[JsonObject] | None:  # noqa: ANN401  parameters
        """All items of a list; None when it has too many pages."""
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
        """List the runs since the oldest of ours page by page; `starting` starts one behind the first page."""
        query: dict[str, Any] = {"created_after": self.since}
        shown = [self.retrieve(run_id) for run_id in self.runs[:2]]
        account, limit = self.client.account, self._choose_page_size(limit)
        is_changing, starts = account.open_starts > 0, account.starts
        page = self.client.get("/runs", limit=limit, **query).response
        wanted = list(self.runs)
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
        is_changing = is_changing or account.starts > starts
        rule = "pages.walk.under-change" if is_changing else "pages.walk"
        ids = [item.get("id") for item in items]
        self.record([check_walk(rule, ids, wanted, exact=False, operation="listRuns")])
        for run in shown:
            for item in items:
                if item.get("id") == run.get("id"):
                    self.record(check_listed_run(run, item))

    def _choose_page_size(self, limit: int) -> int:
        """The limit by which a list with the runs of other stories has as many pages as one with ours alone."""
        runs = max(1, len(self.runs))
        others = max(0, self.client.account.starts - self._starts_before - runs)
        return min(_LARGEST_PAGE, -(-limit * (runs + others) // runs)) if self.client.turns.is_shared else limit

    def filter_status(self, status: str) -> None:
        """List the runs in a status: the runs of this story that stay in it must be listed, and no others."""
        ours = {run_id for run_id in self.runs[:5] if self.retrieve(run_id).get("status") == status}
        items = self.walk("/runs", _LARGEST_PAGE, status=status, created_after=self.since)
        if items is None:
            return
        absent = ours - {item.get("id") for item in items}
        # A run may continue while the list is read, and the clock is moved while a rate limit is waited out.
        missing = {run_id for run_id in absent if self.retrieve(run_id).get("status") == status}
        claim = check_status_filter(status, items, missing)
        self.record([claim])

    # --- results

    def list_results(self, run_id: str, limit: int) -> list[JsonObject]:
        """List the results of a run beside the run, and retrieve one of them."""
        before = self.retrieve(run_id)
        results = self.walk("/results", limit, run_id=run_id)
        # A run may end while its results are listed; the list then says nothing about either state.
        run = before if has_ended(before) else self.retrieve(run_id)
        if results is None or not run:
            return []
        if has_ended(before) is has_ended(run):
            self.record(self.model.record_results(run, results))
        for one in results[:1]:
            answer = self.client.get(f"/results/{one.get('id')}").response
            self.record([check_retrieved_result(one, answer)])
        return results

    def export(self, run_id: str) -> None:
        """Export the results of an ended run, and list them."""
        if not has_ended(self.retrieve(run_id)):
            return
        listed = self.walk("/results", 50, run_id=run_id)
        answer = self.client.post("/results/export", {"format": "json", "run_id": run_id}).response
        if listed is not None and answer.ok:
            self.record([check_export(listed, answer.items)])

    def follow_logs(self, run_id: str, limit: int) -> None:
        """Read the log of an ended run in small pages and at once."""
        if not has_ended(self.retrieve(run_id)):
            return
        pieces, whole = (self.walk(f"/runs/{run_id}/logs", size) for size in (limit, 100))
        if pieces is not None and whole is not None:
            self.record([check_followed_log(pieces, whole)])

    def list_artifacts(self, run_id: str) -> None:
        """List the artifacts of a run, and those of one of its results."""
        # An outcome names its result when the run has ended, so that no artifact is added any more.
        outcomes = list_outcomes(self.retrieve(run_id))
        whole = self.walk(f"/runs/{run_id}/artifacts", 50)
        for outcome in outcomes[:1]:
            if isinstance(result := outcome.get("result_id"), str) and whole is not None:
                own = self.walk(f"/results/{result}/artifacts", 50)
                if own is not None:
                    self.record([check_artifact_lists({result}, own, whole)])

    # --- other organizations and unknown names

    def visit_as_stranger(self, run_id: str) -> None:
        """Retrieve a run with the key of another organization, and cancel it if it has not ended."""
        for path in (f"/runs/{run_id}", f"/runs/{run_id}/logs", f"/runs/{run_id}/artifacts"):
            answer = self.client.get(path, key="other-org").response
            self.record([check_status("tenants.run", answer, _NOT_FOUND)])
        if self.can_start_runs and not has_ended(self.retrieve(run_id)):
            answer = self.client.post(f"/runs/{run_id}/cancel", key="other-org").response
            self.record([check_status("tenants.run", answer, _NOT_FOUND)])

    def retrieve_nasty_id(self, run_id: str) -> None:
        """Retrieve a run that does not exist."""
        answer = self.client.get(f"/runs/{run_id}").response
        self.record([check_status("conventions.path-id", answer, _NOT_FOUND)])

    def filter_by_nasty_value(self, name: str, value: str) -> None:
        """Filter by a value that no filter accepts."""
        query: dict[str, Any] = {name: value}
        answer = self.client.get("/runs", **query).response
        self.record([check_status("runs.filter.refused", answer, _INVALID, f"{name}={value!r}")])
