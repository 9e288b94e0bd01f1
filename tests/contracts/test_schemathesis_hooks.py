"""The hooks for the command line of Schemathesis: with them it finds nothing on the emulator, in any folder."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from schemathesis.hooks import unregister
from schemathesis.openapi.checks import RejectedPositiveData
from zof_contracts.schemathesis_hooks import filter_failure

from tests.served import Server, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

unregister(filter_failure)  # importing the module registered it for every other test of this process
ST: Final = Path(sys.executable).with_name("st")
OPTIONS: Final = (
    *("-H", "Authorization: Bearer zof_test_admin", "--include-operation-id", "listProjects", "--seed", "1"),
    *("--phases", "coverage,fuzzing", "--max-examples", "5", "--no-color"),
)
"""One operation and one seed, since scripts/fuzz runs all."""


def run_st(base: str, folder: Path, hooks: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line of Schemathesis in a folder."""
    command = [str(ST), "run", f"{base}/_emulator/openapi.json", *OPTIONS]
    return subprocess.run(
        command, cwd=folder, env=environment(hooks, measured=False), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of an emulator without a rate limit."""
    with Server("--rate-limit", "off", "--quiet") as server:
        yield f"http://127.0.0.1:{server.port}"


def test_nothing_is_found_in_any_folder(base: str, tmp_path: Path) -> None:
    """With the hooks of the wheel, `st run` finds nothing in a folder that has nothing of ours."""
    found = run_st(base, tmp_path, {"SCHEMATHESIS_HOOKS": "zof_contracts.schemathesis_hooks"})
    assert found.returncode == 0, found.stdout
    assert "Filtered:" in found.stdout


def test_without_the_hooks_a_generated_cursor_is_reported(base: str, tmp_path: Path) -> None:
    """Without the hooks the refusal of a generated cursor is a failure, so the hooks are what removes it."""
    found = run_st(base, tmp_path, {})
    assert found.returncode == 1
    assert "starting_after" in found.stdout


@dataclass(frozen=True)
class Case:
    """A request as Schemathesis describes it."""

    query: dict[str, object] | None = None
    body: object = None


@dataclass(frozen=True)
class Response:
    """A response as Schemathesis describes it."""

    content: bytes


def refusal(param: str) -> Response:
    """The answer that blames an input."""
    return Response(json.dumps({"error": {"code": "invalid_request", "message": "no", "param": param}}).encode())


REJECTED: Final = RejectedPositiveData.__new__(RejectedPositiveData)


@pytest.mark.parametrize(
    ("failure", "case", "param", "is_kept"),
    [
        (REJECTED, Case(query={"starting_after": "x"}), "starting_after", False),
        (REJECTED, Case(body={"environment": "x"}), "environment", False),
        (REJECTED, Case(query={"starting_after": "x"}), "limit", True),
        (REJECTED, Case(query={"limit": 1}), "starting_after", True),
        (REJECTED, Case(body={"environment": "x"}), "project_id", True),
        (REJECTED, Case(body=[]), "environment", True),
        (REJECTED, Case(body={"url": "http://[DE1ae2Ff31.]:9/"}), "url", False),
        (REJECTED, Case(body={"url": "http://127.0.0.1:65536/"}), "url", False),
        (REJECTED, Case(body={"url": "http://127.0.0.1:0/"}), "url", False),
        (REJECTED, Case(body={"url": "http://[::1]:9/"}), "url", True),
        (REJECTED, Case(body={"url": "https://zof.test/hook"}), "url", True),
        (REJECTED, Case(body={"url": 1}), "events", True),
        (ValueError(), Case(query={"starting_after": "x"}), "starting_after", True),
    ],
)
def test_only_what_no_schema_can_state_is_dropped(
    failure: Any,  # noqa: ANN401  of whatever kind
    case: Case,
    param: str,
    *,
    is_kept: bool,
) -> None:
    """A failure is dropped only if a valid request is refused for a cursor, environment or impossible URL in it."""
    assert filter_failure(None, failure, case, refusal(param)) is is_kept
