"""A rule needs what it is about and no more: where one operation is absent, rules about others are still exercised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from zof_contracts.evidence.findings import Verdict
from zof_contracts.verification.run import run

from tests.mutants.catalogue import target
from tests.mutants.layer import Mutant, always, error

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Response

    from tests.mutants.layer import Ask, Inner

_ABOUT = {
    "getRun": ("runs.", "results.per-case", "results.agree", "results.order", "results.canceled-unstarted"),
    "listResults": (
        "results.",
        "exports.equals-list",
        "exports.filter",
        "tenants.result",
        "artifacts.listed",
        "artifacts.run-holds-all",
        "auth.key-accepted",
        "conventions.unknown-parameter",
        "pages.",
    ),
    "exportResults": ("exports.", "conventions.", "errors.", "idempotency."),
    "getRunLogs": ("logs.", "results.logs-url"),
    "listRunArtifacts": ("artifacts.", "tenants.artifact", "results.canceled-traceless"),
    "listResultArtifacts": ("artifacts.run-holds-all",),
    "getResult": (),
    "downloadArtifact": ("artifacts.",),
    "listProjects": (
        "projects.",
        "auth.projects-reader",
        "auth.projects-permission",
        "auth.key-accepted",
        "conventions.unknown-parameter",
    ),
}
"""The rules that may not be exercised where an operation is absent, by operation."""

_BROKEN = {
    "getRun": {"runs.start.retrievable"},
    "listRuns": {"runs.start.retrievable", "conventions.status"},
    "listResults": {"results.per-case", "conventions.status"},
    "exportResults": {"exports.formats", "conventions.status"},
    "getRunLogs": {"logs.readable"},
    "listRunArtifacts": {"artifacts.listed"},
    "listResultArtifacts": {"artifacts.listed"},
    "getResult": {"results.get"},
    "downloadArtifact": {"artifacts.download"},
    "listProjects": {"projects.shape", "conventions.status"},
    "cancelRun": {"runs.cancel.terminal-conflict"},
    "createWebhook": {"webhooks.create", "conventions.status"},
}
"""The rules that an absent operation breaks: the one that it is for, and the one about undocumented statuses."""


def _without(operation: str) -> Mutant:
    """A deployment that answers 404 to an operation."""

    def refuse(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        return error(answer, 404, "not_found") if ask.operation == operation else answer

    return Mutant(name="absent", rule="", make=always(refuse))


@pytest.mark.parametrize("operation", _BROKEN)
def test_an_absent_operation_breaks_no_other_rule(operation: str) -> None:
    """Where an operation is absent, the rule that it is for is broken, and no rule about keys, limits or the order."""
    verification = run(target(_without(operation)), max_examples=0)
    assert {each.rule.name for each in verification.findings} == _BROKEN[operation]
    assert verification.error == ""


@pytest.mark.parametrize("operation", _ABOUT)
def test_rules_about_other_operations_are_exercised(operation: str) -> None:
    """Where an operation is absent, only rules about it are not exercised."""
    verification = run(target(_without(operation)), max_examples=0)
    missed = [
        each.rule.name
        for each in verification.results
        if each.verdict is Verdict.NOT_EXERCISED and "strict" not in each.rule.needs
    ]
    assert [name for name in missed if not name.startswith(_ABOUT[operation])] == []
    assert {"idempotency.replay", "runs.cancel.terminal-conflict"}.isdisjoint(missed)
