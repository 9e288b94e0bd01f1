"""docs/contract.md: it is what the contract generates, and leaves out no rule."""

from __future__ import annotations

import copy
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.spec.document import Document, find_document, load_document

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT: Final[dict[str, Any]] = runpy.run_path("scripts/contract_page.py")
CONTRACT: Final = load_document(find_document("openapi.yaml"))
PAGE: Final = Path("docs/contract.md").read_text(encoding="utf-8")


def test_the_page_is_current() -> None:
    """The page in the repository is the one that the contract generates; if not, run scripts/contract_page.py."""
    assert SCRIPT["render"](CONTRACT) == PAGE


def bases(node: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401  a JSON value
    """Each description that stands beside a basis, with the basis."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        followed = CONTRACT.follow(node) if "$ref" in node else node
        if "x-basis" in node and isinstance(followed.get("description"), str):
            yield " ".join(followed["description"].split()), node["x-basis"]
        for key, child in node.items():
            if key not in {"value", "example"}:
                yield from bases(child)


def test_every_rule_is_on_the_page() -> None:
    """Every description that has a basis is on the page, and each of its sources is in the same line."""
    lines = PAGE.splitlines()
    found = list(bases(CONTRACT.root))
    assert len(found) > 150
    for described, basis in found:
        tag, *sources = basis.split()
        text = described.replace("|", "\\|")
        holding = [line for line in lines if text in line]
        assert any(f"**{tag}**" in line and all(one in line for one in sources) for line in holding), described


def test_a_change_of_the_contract_changes_the_page() -> None:
    """Another limit, another basis or another description makes another page."""
    for pointer, value in (
        (("components", "parameters", "Limit", "schema", "maximum"), 99),
        (("components", "headers", "Retry-After", "x-basis"), "A"),
        (("x-conventions", 1, "description"), "Another order."),
    ):
        root = copy.deepcopy(CONTRACT.root)
        inner: Any = root
        for step in pointer[:-1]:
            inner = inner[step]
        inner[pointer[-1]] = value
        assert SCRIPT["render"](Document(root)) != PAGE
