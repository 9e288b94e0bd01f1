"""The command line with a contract that cannot be used: one line says where it is wrong."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from tests.commands import command, complaint
from tests.served import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the emulator, whose contract may be spoilt."""
    shutil.copytree(ROOT / "emulator", tmp_path / "emulator", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.yaml", tmp_path)
    return tmp_path


# What stands where in a contract that is spoilt, and what the complaint names.
SPOILT: Final = {
    "a keyword that is not honoured": (
        "components schemas ProjectId contains",
        {},
        "#/components/schemas/ProjectId/contains",
    ),
    "a place that is not honoured": ("paths /runs/{id} get callbacks", {}, "#/paths/~1runs~1{id}/get/callbacks"),
    "a reference to nowhere": (
        "paths /runs get parameters",
        [{"$ref": "#/components/parameters/No"}],
        "#/components/parameters/No",
    ),
    "an operation that nothing handles": ("paths /runs get operationId", "listAllRuns", "listAllRuns"),
    "an operation without responses": ("paths /runs post", {"operationId": "startRun"}, "#/paths/~1runs/post"),
    "no operation": ("paths", {}, "#/paths"),
    "paths that are none": ("paths", [], "#/paths"),
}


@pytest.mark.parametrize(("place", "value", "told"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_contract(copy: Path, place: str, value: object, told: str) -> None:
    """A contract that asks for what is not honoured stops the start with one line that says where."""
    path = copy / "openapi.yaml"
    contract = node = yaml.safe_load(path.read_text())
    *steps, last = place.split()
    for step in steps:
        node = node[step]
    node[last] = value
    path.write_text(yaml.safe_dump(contract))
    assert told in complaint(command("serve", "--port=0", root=copy))


@pytest.mark.parametrize("content", ["openapi: [", "", "- 1", "\0"], ids=repr)
def test_a_contract_that_cannot_be_read(copy: Path, content: str) -> None:
    """A contract that is no YAML object stops the start with one line that names the file."""
    (copy / "openapi.yaml").write_text(content)
    assert "openapi.yaml" in complaint(command("serve", "--port=0", root=copy))


@pytest.mark.parametrize("name", ["openapi.yaml", "emulator/zof_emulator/control.yaml"])
def test_a_contract_that_is_not_there(copy: Path, name: str) -> None:
    """A missing contract stops the start with one line that names the file."""
    (copy / name).unlink()
    assert os.path.basename(name) in complaint(command("serve", "--port=0", root=copy))  # noqa: PTH119
