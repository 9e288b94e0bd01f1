"""Reports: how a verification went, for a person, a pipeline and other programs.

Plug in: `write(facts, {"json", "html"}, folder)`; a report is a function from the `document` to text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from zof_contracts.report import har, html, junit, sarif, text
from zof_contracts.report.document import Document, document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from zof_contracts.evidence.verification import Verification


def as_json(said: Document) -> str:
    """The document itself."""
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


RENDERINGS: Final[dict[str, Callable[[Document], str]]] = {
    "text": text.render,
    "json": as_json,
    "junit": junit.render,
    "html": html.render,
    "sarif": sarif.render,
}
"""Reports that are made of the document; HAR is made of the journal."""
FILES: Final = {
    "text": "report.txt",
    "json": "report.json",
    "junit": "junit.xml",
    "html": "report.html",
    "sarif": "report.sarif",
    "har": "journal.har",
}
"""What a report is called in its folder."""


def render(facts: Verification, form: str) -> str:
    """A report as text."""
    return har.render(facts) if form == "har" else RENDERINGS[form](document(facts))


def write(facts: Verification, forms: Iterable[str], folder: Path) -> list[Path]:
    """Write reports into a folder, which is made if need be; the files. `OSError` when that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for form in forms:
        path = folder / FILES[form]
        path.write_text(render(facts, form), encoding="utf-8", errors="replace")
        written.append(path)
    return written
