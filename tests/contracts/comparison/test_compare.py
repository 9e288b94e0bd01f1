"""Two deployments side by side: equal ones have no difference, and a planted defect is one."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest
from zof_contracts.comparison import report
from zof_contracts.comparison.compare import Kind, Party, compare
from zof_contracts.comparison.report import build_differences, render_json, render_text
from zof_contracts.evidence.findings import Verdict

from tests.mutants.catalogue import HEALTHY, MUTANTS, target

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.comparison.compare import Comparison

    from tests.mutants.layer import Mutant

SCHEMA: Final = json.loads((Path(report.__file__).parent / "differences.schema.json").read_text())


def compare_with_healthy(mutant: Mutant, *, seed: int = 1, stories: int = 5) -> Comparison:
    """Compare a mutant with the emulator, whose IDs and durations have another seed."""
    return compare(target(mutant, seed=seed + 100), target(seed=seed), seed=seed, stories=stories)


def read(comparison: Comparison) -> dict[str, Any]:
    """The JSON report of a comparison, which is valid."""
    document: dict[str, Any] = json.loads(render_json(build_differences(comparison)))
    jsonschema_rs.validate(SCHEMA, document)
    return document


@pytest.mark.parametrize("seed", range(3))
def test_the_emulator_and_itself_have_no_difference(seed: int) -> None:
    """Nothing differs between two emulators whose IDs and durations differ."""
    comparison = compare_with_healthy(HEALTHY, seed=seed, stories=12)
    assert (comparison.rules, comparison.answers, comparison.errors) == ((), (), ())
    assert comparison.exit_code == 0
    assert comparison.requests > 100
    assert 5 < comparison.stories <= 14
    assert read(comparison)["answers"] == []
    ending = (
        f"no difference in {comparison.compared_rule_count} rules, and in {comparison.stories - 2} stories and 2 that"
    )
    assert comparison.compared_rule_count > 200
    assert ending in render_text(build_differences(comparison))


@pytest.mark.parametrize("name", list(MUTANTS)[::40])
def test_a_mutant_differs_from_the_healthy_emulator(name: str) -> None:
    """Each mutant breaks its rule alone, and the report says that the rule does not hold there."""
    comparison = compare_with_healthy(MUTANTS[name])
    assert comparison.exit_code == 1
    broken = {each["rule"]: each for each in read(comparison)["rules"] if each["broken_by"] == "url"}
    assert MUTANTS[name].rule in broken
    kinds = {"documented": "violates", "inferred": "violates", "assumed": "may differ"}
    assert all(each["kind"] == kinds[each["basis"]] for each in broken.values())
    assert all(each["findings"] for each in broken.values())


def test_a_differing_answer_names_its_rule_and_has_a_short_script() -> None:
    """A differing answer is shown once, with both values, the rule that it breaks and the requests that show it."""
    comparison = compare_with_healthy(MUTANTS["code-409-already-finished"], stories=20)
    (answer,) = comparison.answers
    difference = answer.divergence.difference
    assert (answer.divergence.operation, difference.place) == ("cancelRun", "409/body/error/code")
    assert (difference.url, difference.against) == ('"already_finished"', '"conflict"')
    assert (answer.kind, [(rule.name, party) for rule, party in answer.rules]) == (
        Kind.MAY_DIFFER,
        [("errors.conflict.code", Party.URL)],
    )
    assert [each.request.method for each in answer.divergence.url_trace] == ["POST", "POST"]
    (shown,) = read(comparison)["answers"]
    assert shown["script"].count("curl -sS") == 2
    assert "zof_test_admin" not in json.dumps(read(comparison))


def test_the_side_that_differs_is_named() -> None:
    """A rule that only the other deployment breaks is broken by `against`."""
    mutant = MUTANTS["code-409-already-finished"]
    comparison = compare(target(seed=1), target(mutant, seed=2), seed=1, stories=0)
    assert [(each.rule.name, each.party) for each in comparison.rules] == [("errors.conflict.code", Party.AGAINST)]
    assert comparison.stories == 0


class Counted:
    """An application that counts its requests, and does something else at one of them."""

    def __init__(self, app: Any, number: int, act: Callable[[], None]) -> None:  # noqa: ANN401  an ASGI application
        self.app = app
        self.number = number
        self.act = act
        self.count = 0

    async def __call__(self, *arguments: Any) -> None:  # noqa: ANN401  those of ASGI
        """Answer a request."""
        self.count += 1
        if self.count == self.number:
            self.act()
        await self.app(*arguments)


def interrupt() -> None:
    """Do as a signal does."""
    raise KeyboardInterrupt


def compare_until(
    number: int = 0, *, other: int = 0, act: Callable[[], None] = interrupt, seconds: float | None = None
) -> tuple[Comparison, Counted]:
    """Compare a mutant with the emulator; at one request of the mutant, or of the other, something happens."""
    one, two = target(MUTANTS["start-202"], seed=101), target(seed=1)
    app = Counted(one.app, number, act)
    ours, theirs = replace(one, app=app), replace(two, app=Counted(two.app, other, act))
    return compare(ours, theirs, seed=1, stories=2, seconds=seconds), app


def test_an_interrupted_comparison_reports_what_it_found() -> None:
    """Whenever a signal comes, the differences until then are reported, no run is left, and the status is 130."""
    whole, app = compare_until()
    assert (whole.exit_code, len(whole.answers)) == (1, 1)
    late, _ = compare_until(app.count - 5)
    assert late.exit_code == 130
    assert [each.rule.name for each in late.rules] == [each.rule.name for each in whole.rules]
    assert [each.divergence.kind for each in late.answers] == [each.divergence.kind for each in whole.answers]
    early, _ = compare_until(20)
    assert (early.exit_code, early.rules, early.answers, len(early.verifications)) == (130, (), (), 1)
    second, _ = compare_until(other=6)
    assert (second.exit_code, len(second.verifications)) == (130, 2)
    assert {each.other for each in second.rules} <= {Verdict.KEPT}
    assert len(second.rules) < len(whole.rules)
    for comparison in (late, early, second):
        assert read(comparison)["interrupted"] is True
        assert "interrupted: the differences are those found until then" in render_text(build_differences(comparison))
        states = {each.state for verification in comparison.verifications for each in verification.receipt}
        assert states <= {"ended", "canceled", "left registered: the API deletes no webhooks"}
    assert read(whole)["interrupted"] is False


@pytest.mark.parametrize("part", ["first verification", "second verification", "stories"])
def test_a_comparison_without_time_left_reports_what_it_found(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is used up, what was compared until then is reported, and the status is 2."""
    read_clock, late = time.monotonic, list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: read_clock() + sum(late))
    whole, app = compare_until()
    number = {"first verification": 20, "second verification": 0, "stories": app.count - 5}[part]
    comparison, _ = compare_until(number, other=0 if number else 6, act=lambda: late.append(3600.0), seconds=600.0)
    assert comparison.exit_code == 2
    assert read(comparison)["errors"] == ["the 600 seconds are used up"]
    assert len(comparison.answers) == (len(whole.answers) if part == "stories" else 0)
