"""Renders docs/clients.md: what works in the client of which generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.clients.recipes import HERE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.clients.__main__ import Trial

PAGE: Final = ROOT / "docs" / "clients.md"
TITLES: Final = {
    "generate": "a client is generated from `openapi.yaml`",
    "build": "the client and a program that uses it build, types checked",
    "control": "a client is generated from `control.yaml`, and builds",
    "start": "start a run; times are dates where the language has them, and null where nothing happened yet",
    "retry": "repeat the start with the same `Idempotency-Key`: the same run",
    "poll": "poll the run until it has ended",
    "page": "follow the cursors of a list to its end",
    "results": "read the results with their failure summaries",
    "png": "download a screenshot (PNG)",
    "zip": "download a trace (ZIP)",
    "har": "download an export (HAR, JSON)",
    "junit": "download an export (JUnit, XML)",
    "export json": "export results as JSON",
    "export csv": "export results as CSV",
    "webhook": "register a webhook, whose secret is shown once, and list it",
    "webhook test": "send the webhook a test event, and read the event",
    "unknown status": "a run with a status that the document does not list is read",
    "unknown code": "an error with a code that the document does not list is read",
}


def render_page(trials: Sequence[Trial], steps: Sequence[str]) -> str:
    """The page, with a table of what happened."""
    before, _, after = (HERE / "page.md").read_text(encoding="utf-8").partition("{table}\n")
    return before + "\n".join(_render(trials, steps)) + "\n" + after


def _render(trials: Sequence[Trial], steps: Sequence[str]) -> Iterator[str]:
    names = [trial.recipe.name for trial in trials]
    yield f"| what | {' | '.join(names)} |"
    yield f"| --- |{' --- |' * len(names)}"
    yield f"| language | {' | '.join(trial.recipe.language for trial in trials)} |"
    notes: dict[str, int] = {}
    for step in steps:
        cells = [_cell(trial, step, notes) for trial in trials]
        yield f"| {TITLES.get(step, f'{step} is read as its model')} | {' | '.join(cells)} |"
    yield ""
    yield from (f"{number}. {note}." for note, number in notes.items())


def _cell(trial: Trial, step: str, notes: dict[str, int]) -> str:
    why = trial.outcomes.get(step, "not tried")
    if not why:
        return "yes"
    note = trial.recipe.limits.get(step, why)
    return f"no ({notes.setdefault(f'The generator {note}', len(notes) + 1)})"
