"""Reports of a verification, in formats for people, pipelines and other programs.

`write(verification, ["json", "html"], folder)` writes report files. Every format but HAR is made from one value, which
`document.build_report` returns.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from zof_contracts.report import ci, har, html, junit, sarif, text
from zof_contracts.report.document import Report, build_report
from zof_contracts.report.escape import dump_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from zof_contracts.evidence.verification import Verification


def render_json(report: Report) -> str:
    """Render the report as JSON."""
    return dump_json(report)


RENDERERS: Final[dict[str, Callable[[Report], str]]] = {
    "text": text.render,
    "json": render_json,
    "junit": junit.render,
    "html": html.render,
    "sarif": sarif.render,
    "gitlab": ci.render_code_quality,
}
"""The formats that are made from the report value; HAR is made from the journal."""
FILES: Final = {
    "text": "report.txt",
    "json": "report.json",
    "junit": "junit.xml",
    "html": "report.html",
    "sarif": "report.sarif",
    "har": "journal.har",
    "gitlab": "gl-code-quality-report.json",
}
"""The file name of each format."""


def render(verification: Verification, form: str) -> str:
    """Render a report as text."""
    return har.render(verification) if form == "har" else RENDERERS[form](build_report(verification))


def write(verification: Verification, forms: Iterable[str], folder: Path) -> list[Path]:
    """Write report files into a folder and return their paths; the folder is made if it does not exist.

    Raises:
        OSError: the folder cannot be made or a file cannot be written. The files before it are complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [write_form(verification, form, folder) for form in forms]


def write_form(verification: Verification, form: str, folder: Path) -> Path:
    """Write the report file of one format into a folder and return its path.

    Raises:
        OSError: the file cannot be written; there is then no partial file.
    """
    path = folder / FILES[form]
    write_whole(path, render(verification, form))
    return path


def write_whole(path: Path, content: str) -> None:
    """Write a file as a whole: it has its new content, or the file is as it was.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(content, encoding="utf-8", errors="replace")
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
