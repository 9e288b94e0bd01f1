"""Judges that probes and the state machine share: what a few answers, taken together, say about a rule.

Each function takes answers and returns claims. It sends nothing and records nothing; the caller hands the claims to
the ledger together with the exchanges that it looked at. So every rule is judged in one place, and a defect has the
same wording wherever it is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.objects import is_consistent, list_differences
from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.findings import Claim, quote_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from zof_contracts.evidence.exchange import Response

JsonObject = dict[str, Any]

_OK: Final = 200
_CONFLICT: Final = 409
_KEY: Final = "Idempotency-Key"
_REPLAYED: Final = "idempotency-replayed"
_OUTCOMES: Final = frozenset({"passed", "failed", "error"})
"""The statuses that a case or a run reaches by itself."""


def describe(answer: Response) -> str:
    """Status, code and param of an answer."""
    error = answer.error
    words = [str(answer.status), error.get("code"), error.get("param")]
    return " ".join(str(word) for word in words if word)


def has_ended(run: JsonObject) -> bool:
    """Whether a run is in a terminal status."""
    return run.get("status") in load_contract().terminal


def list_outcomes(run: JsonObject) -> list[JsonObject]:
    """The case outcomes of a run; empty when it shows none."""
    outcomes = run.get("case_outcomes")
    return [each for each in outcomes if isinstance(each, dict)] if isinstance(outcomes, list) else []


def check_status(rule: str, answer: Response, status: int, what: str = "") -> Claim:
    """Whether an answer has a status."""
    expected = f"{status} for {what}" if what else str(status)
    return Claim(rule, answer.status == status, expected, describe(answer))


# --- starts


def check_start(answer: Response) -> Claim:
    """Whether a start was accepted and names its run."""
    named = answer.ok and isinstance(answer.fields.get("id"), str)
    got = f"{describe(answer)} with id {quote_value(answer.fields.get('id'))}" if answer.ok else describe(answer)
    return Claim("runs.start.accepted", named, "2xx with the id of the run", got)


def check_initial_status(run: JsonObject) -> Claim:
    """Whether a run that was just started is in an initial status, with all its cases."""
    statuses = [run.get("status"), *(each.get("status") for each in list_outcomes(run))]
    initial = load_contract().initial
    holds = all(status in initial for status in statuses)
    got = f"run {quote_value(statuses[0])}, cases {quote_value(statuses[1:])}"
    return Claim("runs.start.queued", holds, f"run and cases {' or '.join(sorted(initial))}", got)


def check_new_run(run_id: object, known: Collection[object]) -> Claim:
    """Whether a start without an idempotency key made a run of its own."""
    return Claim("idempotency.without-key", run_id not in known, "a new run for each start", f"{run_id} a second time")


def check_retrieved_run(run_id: object, answer: Response) -> Claim:
    """Whether a run that was started can be retrieved."""
    got = f"{describe(answer)} with id {quote_value(answer.fields.get('id'))}"
    return Claim("runs.start.retrievable", answer.fields.get("id") == run_id, f"the run {run_id}", got)


def check_end(run: JsonObject) -> Claim:
    """Whether a run that had enough time has ended."""
    return Claim("runs.progress", has_ended(run), "a terminal status", f"status {quote_value(run.get('status'))}")


# --- idempotency


def check_replay(first: Response, answer: Response, *, respelled: bool) -> Iterator[Claim]:
    """Whether a request that repeats an idempotency key gets the first answer; `respelled` when its bytes differ."""
    rule = "idempotency.spacing" if respelled else "idempotency.replay"
    run = first.fields.get("id")
    same = answer.fields.get("id") == run
    got = f"{describe(answer)} with id {quote_value(answer.fields.get('id'))}"
    yield Claim(rule, same, f"the first answer, with id {quote_value(run)}", got)
    if same:
        whole = (answer.status, answer.body) == (first.status, first.body)
        expected = f"{first.status} and the {len(first.body)} bytes of the first answer"
        got = f"{answer.status} and {len(answer.body)} bytes: {_show_difference(first, answer)}"
        yield Claim("idempotency.replay.bytes", whole, expected, got)
        marks = (first.header(_REPLAYED), answer.header(_REPLAYED))
        expected = "Idempotency-Replayed: true on the replay, none on the first answer"
        got = f"{quote_value(marks[1])} on the replay, {quote_value(marks[0])} on the first answer"
        yield Claim("idempotency.replay.header", marks == (None, "true"), expected, got)


def _show_difference(first: Response, answer: Response) -> str:
    names = list_differences(first.fields, answer.fields)
    shown = [f"{name} {quote_value(answer.fields.get(name))}" for name in names]
    return ", ".join(shown)[:160] or "the same values in other bytes"


def check_replay_effect(
    first: JsonObject, before: Sequence[JsonObject], after: Sequence[JsonObject], started: Collection[object]
) -> Claim:
    """Whether a replay started no run, given the lists of runs before and after it.

    Others may start runs at the same time; a run counts only if it looks like the first one and is not among those that
    are known to have been started.
    """
    known = {each.get("id") for each in before} | {first.get("id"), *started}
    new = [each for each in after if each.get("id") not in known and _looks_like(first, each)]
    expected = "no new run after the replay"
    got = f"{len(new)} new, {', '.join(str(each.get('id')) for each in new[:3])}"
    return Claim("idempotency.replay", not new, expected, got)


def _looks_like(first: JsonObject, run: JsonObject) -> bool:
    """Whether two runs may come from equal starts; fields that one of them lacks say nothing."""
    names = ("project_id", "environment", "test_suite_id")
    pairs = [(first[name], run[name]) for name in names if name in first and name in run]
    totals = [each["summary"].get("total") for each in (first, run) if isinstance(each.get("summary"), dict)]
    return all(one == other for one, other in pairs) and len({str(total) for total in totals}) <= 1


def check_stranger_replay(first: Response, answer: Response) -> Iterator[Claim]:
    """Whether a start that another organization repeats with its idempotency key is a request of its own."""
    run = first.fields.get("id")
    shown = answer.fields.get("id")
    leaks = shown == run or answer.body == first.body
    got = f"{describe(answer)} with id {quote_value(shown)}"
    yield Claim("tenants.replay", not leaks, f"an answer that does not show {run}", got)
    clashes = answer.status == _CONFLICT and answer.error.get("param") == _KEY
    if answer.ok or clashes:
        holds = not leaks and not clashes
        yield Claim("idempotency.scope.organization", holds, "a start of the other organization", got)


def check_reused_key(answer: Response) -> Iterator[Claim]:
    """Whether an idempotency key with another body is refused; nothing is claimed of a 409 without an error object."""
    if answer.status != _CONFLICT or answer.error:
        holds = (answer.status, answer.error.get("param")) == (_CONFLICT, _KEY)
        yield Claim("idempotency.other-body", holds, f"{_CONFLICT} with param {_KEY}", describe(answer))


# --- cancels


def check_refused_cancel(before: JsonObject, answer: Response) -> Claim:
    """Whether the cancel of an ended run is refused."""
    rule = "again" if before.get("status") == "canceled" else "terminal"
    expected, operation = str(_CONFLICT), "cancelRun"
    holds = answer.status == _CONFLICT
    return Claim(f"runs.cancel.{rule}-conflict", holds, expected, describe(answer), operation=operation)


def check_unchanged(before: JsonObject, after: JsonObject) -> Claim:
    """Whether a refused cancel left a run as it was; a link may differ."""
    changed = [name for name in list_differences(before, after) if name != "url"]
    got = ", ".join(f"{name} {quote_value(after.get(name))}" for name in changed)
    return Claim("runs.cancel.terminal-unchanged", not changed, "the run as before the cancel", got[:160])


def check_cancel(before: JsonObject, answer: Response, after: JsonObject) -> Iterator[Claim]:
    """Whether a run that had not ended was canceled, given the run before and when it has settled."""
    now, accepted = after.get("status"), "runs.cancel.accepted"
    if now == "canceled":
        yield Claim(accepted, answer.ok, "2xx, since the run is canceled", describe(answer), operation="cancelRun")
    elif answer.status == _OK or answer.fields.get("status") == "canceled":
        raced = has_ended(after) and before.get("status") == "running"
        rule = "runs.cancel.race" if raced else accepted
        yield Claim(rule, holds=False, expected="canceled, as the cancel answered", got=f"status {quote_value(now)}")
    elif not has_ended(after):
        got = f"{describe(answer)}, and status {quote_value(now)}"
        yield Claim(accepted, holds=False, expected="the run canceled", got=got, operation="cancelRun")


def check_race(answer: Response, after: JsonObject, results: Sequence[JsonObject]) -> Claim:
    """Whether the answer to a cancel, the run and its results agree on whether the run was canceled."""
    status, said = after.get("status"), answer.fields.get("status")
    agrees = said in {None, status} if answer.ok else status in _OUTCOMES
    if answer.status == _OK:
        agrees = agrees and status == "canceled"
    ends = sorted({str(each.get("status")) for each in results})
    agrees = agrees and set(ends) <= {status, *_OUTCOMES}
    got = f"cancel {describe(answer)}, then run {quote_value(status)} with results {', '.join(ends) or 'none'}"
    return Claim("runs.cancel.race", agrees, "a cancel or an end, not both", got)


def check_canceled_outcomes(before: JsonObject, after: JsonObject) -> Iterator[Claim]:
    """Whether finished cases kept their outcome when their run was canceled, and the others ended."""
    now = {each.get("test_case_id"): each.get("status") for each in list_outcomes(after)}
    for case in list_outcomes(before):
        was, name = case.get("status"), case.get("test_case_id")
        if was in load_contract().terminal:
            holds, expected = now.get(name) == was, f"{name} {was}, as before the cancel"
        else:
            holds, expected = now.get(name) in load_contract().terminal, f"{name} canceled"
        yield Claim("runs.cancel.outcomes", holds, expected, f"{name} {quote_value(now.get(name))}")


# --- results


def check_no_results(results: Sequence[JsonObject]) -> Claim:
    """Whether a run that has not ended has no results."""
    got = f"{len(results)} results, the first {quote_value(results[0].get('id')) if results else 'none'}"
    return Claim("results.not-before", not results, "no result before the run has ended", got)


def check_results(run: JsonObject, results: Sequence[JsonObject]) -> Iterator[Claim]:
    """Whether an ended run has one result for each case, and each agrees with the run."""
    outcomes = list_outcomes(run)
    if not outcomes:
        return
    cases = sorted(str(each.get("test_case_id")) for each in outcomes)
    found = sorted(str(each.get("test_case_id")) for each in results)
    expected = f"one result for each of {len(cases)} cases"
    got = f"{len(found)} results, for {quote_value(found)}"
    yield Claim("results.per-case", cases == found, expected, got, operation="listResults")
    by_case = {each.get("test_case_id"): each for each in outcomes}
    for result in results:
        yield _check_agreement(run, by_case.get(result.get("test_case_id"), {}), result)


def _check_agreement(run: JsonObject, outcome: JsonObject, result: JsonObject) -> Claim:
    stated: JsonObject = {name: run[name] for name in ("project_id", "environment") if name in run}
    stated |= {name: outcome[name] for name in ("status", "duration_ms") if name in outcome}
    stated |= {"run_id": run["id"]} if "id" in run else {}
    stated |= {"id": outcome["result_id"]} if "result_id" in outcome else {}
    differ = sorted(name for name, value in stated.items() if name in result and result[name] != value)
    expected = ", ".join(f"{name} {quote_value(stated[name])}" for name in differ) or "what the run states"
    got = ", ".join(f"{name} {quote_value(result[name])}" for name in differ)
    return Claim("results.agree", not differ, expected, got, operation="listResults")


def check_retrieved_result(listed: JsonObject, answer: Response) -> Claim:
    """Whether a result that was listed is the same when it is retrieved."""
    differ = list_differences(listed, answer.fields)
    holds = answer.fields.get("id") == listed.get("id") and not differ
    shown = ", ".join(f"{name} {quote_value(answer.fields.get(name))}" for name in differ)
    return Claim("results.get", holds, "the result as it is listed", f"{describe(answer)} {shown}".strip()[:160])


def check_export(listed: Sequence[JsonObject], exported: Sequence[JsonObject]) -> Claim:
    """Whether an export holds what the list under the same filters holds, in its order."""
    expected = f"the {len(listed)} results of the list, in its order"
    pairs = zip(listed, exported, strict=False)
    index = next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(listed), len(exported)))
    got = f"{len(exported)} results; number {index + 1} is {quote_value(_name_item(exported, index))}"
    return Claim("exports.equals-list", list(listed) == list(exported), expected, got)


def _name_item(items: Sequence[JsonObject], index: int) -> object:
    return items[index].get("id") if index < len(items) else None


# --- lists


def check_listed_run(shown: JsonObject, item: JsonObject) -> Iterator[Claim]:
    """Whether a list shows an ended run as its retrieval does, without its case outcomes."""
    if has_ended(shown):
        extra = ["case_outcomes"] if "case_outcomes" in item else []
        differ = [*list_differences(shown, item), *extra]
        got = ", ".join(f"{name} {quote_value(item.get(name))}" for name in differ)
        expected = "the run as it is retrieved, without case_outcomes"
        yield Claim("runs.list-agrees", not differ, expected, got[:160], operation="listRuns")


def check_walk(
    rule: str, walked: Sequence[object], wanted: Sequence[object], *, exact: bool, operation: str = ""
) -> Claim:
    """Whether a list that was read page by page has every item once; `exact` when it has no others, in this order."""
    twice = sorted({str(each) for each in walked if walked.count(each) > 1})
    lost = [each for each in wanted if each not in walked]
    holds = not twice and not lost and (not exact or list(walked) == list(wanted))
    faults = [f"{', '.join(twice[:3])} twice"] if twice else []
    faults += [f"{len(lost)} missing, such as {lost[0]}"] if lost else []
    faults = faults or [f"the items {quote_value(list(walked))}"]
    expected, got = f"{len(wanted)} items, each once", f"{len(walked)} items: {'; '.join(faults)}"
    return Claim(rule, holds, expected, got, operation=operation)


def check_status_filter(status: str, items: Sequence[JsonObject], missing: Collection[object]) -> Claim:
    """Whether a list that is filtered by status has the runs in that status and no others."""
    strange = [each for each in items if each.get("status") != status]
    faults = [f"{each.get('id')} with status {quote_value(each.get('status'))}" for each in strange[:1]]
    faults += [f"no {each}" for each in sorted(map(str, missing))[:1]]
    expected, got = f"all runs with status {status}, and no others", ", ".join(faults)
    return Claim("runs.filter.status", not faults, expected, got, operation="listRuns")


def check_followed_log(read: Sequence[JsonObject], at_once: Sequence[JsonObject]) -> Claim:
    """Whether a log that was read in pieces has the lines of the log read at once."""
    pieces, whole = ([line.get("id") for line in lines] for lines in (read, at_once))
    index = next((index for index, pair in enumerate(zip(pieces, whole, strict=False)) if pair[0] != pair[1]), None)
    got = f"{len(pieces)} lines" + ("" if index is None else f"; line {index + 1} is {quote_value(pieces[index])}")
    return Claim("logs.follow.complete", pieces == whole, f"the {len(whole)} lines of the log read at once", got)


def check_artifact_lists(results: Collection[object], own: Sequence[JsonObject], whole: Sequence[JsonObject]) -> Claim:
    """Whether the lists of some results hold their own artifacts, and the list of their run holds them too."""
    foreign = [each for each in own if each.get("result_id") not in results]
    listed = {each.get("id") for each in own}
    wanted = {each.get("id") for each in whole if each.get("result_id") in results}
    faults = [f"{each.get('id')} of result {quote_value(each.get('result_id'))}" for each in foreign[:1]]
    faults += [f"{each} in the list of the result only" for each in sorted(map(str, listed - wanted))[:1]]
    faults += [f"{each} in the list of the run only" for each in sorted(map(str, wanted - listed))[:1]]
    expected = "the artifacts of a result in its own list and in that of the run"
    return Claim("artifacts.run-holds-all", not faults, expected, ", ".join(faults))


def check_same_run(one: JsonObject, answer: Response) -> Claim:
    """Whether another key of the organization sees the same run."""
    holds = answer.ok and is_consistent(one, answer.fields)
    differences = [
        f"{name} {quote_value(answer.fields.get(name))} instead of {quote_value(one.get(name))}"
        for name in list_differences(one, answer.fields)
    ]
    got = f"{describe(answer)} with {', '.join(differences) or 'no run'}"
    return Claim("auth.several-keys", holds, "the same run for another key", got)
