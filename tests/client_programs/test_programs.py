"""Small clients, good, careless and broken, each judged by what it sends to the emulator."""

from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.client_programs import broken, careless, good
from tests.client_programs.judging import explain, judge, list_broken, list_kept
from tests.client_programs.rig import LOST, Rig, serve
from tests.served import environment
from tests.zof import ADMIN

FOLDER: Final = Path(__file__).parent
TSC: Final = FOLDER.parent / "clients" / "node_modules" / "typescript" / "bin" / "tsc"


def test_the_good_client_keeps_every_rule() -> None:
    """A client that follows the advice breaks no rule, however often the deployment fails."""
    rig = Rig(rate=12)
    rig.fail("POST /v1/runs", [503, LOST])
    rig.fail("GET /v1/runs/run_.*", [500, 500, 502, 503])
    rig.fail("GET /v1/results", [500, 500, 502, 503])
    good.run_program(rig.base, ADMIN, rig.sleep, rig.transport())
    verification = judge(rig.har())
    assert list_broken(verification) == set(), explain(verification)
    assert len(list_kept(verification)) >= 20


def test_the_careless_client_breaks_what_is_known() -> None:
    """A client with urllib3's Retry breaks a known list of rules and no other."""
    rig = Rig(rate=100)
    earlier = good.GoodClient(rig.base, ADMIN, rig.sleep, rig.transport())
    for _ in range(22):
        earlier.post("/runs", {**good.ORDER, "test_case_ids": ["tc_a"]})
    rig.entries.clear()
    rig.sleep(100)
    rig.fail("POST /v1/runs", [500, 500, 500])
    rig.fail("GET /v1/runs/run_.*", [503, 503, 503])
    with serve(rig) as base:
        careless.run_program(base, ADMIN, rig.sleep)
    verification = judge(rig.har())
    assert list_broken(verification) == careless.BREAKS, explain(verification)


def test_the_broken_client_breaks_what_is_known() -> None:
    """A client that is wrong in many ways breaks a known list of rules and no other."""
    rig = Rig(rate=17)
    broken.run_program(rig.base, ADMIN, rig.sleep, rig.transport())
    verification = judge(rig.har())
    assert list_broken(verification) == broken.BREAKS, explain(verification)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs in TypeScript as Node runs them; they compile without an error."""
    folder = tmp_path_factory.mktemp("programs")
    ran = run_node(TSC, "-p", FOLDER, "--outDir", folder)
    assert ran.returncode == 0, ran.stdout
    return folder


def run_node(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Node."""
    return subprocess.run(
        ["node", *map(str, arguments)],  # noqa: S607  it is looked for in the path
        env=environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.skipif(not TSC.exists(), reason="tests/clients/node_modules is missing; scripts/clients installs it")
@pytest.mark.parametrize("name", ["good", "careless", "broken"])
def test_the_clients_in_typescript_break_what_they_name(name: str, programs: Path) -> None:
    """A client with fetch breaks the rules that its first comment names and no other."""
    rig = Rig(rate=None if name == "careless" else 14)
    rig.fail("POST /v1/runs", [503, 503] if name != "careless" else [])
    rig.fail("GET /v1/results", [500, 500, 500] if name != "careless" else [])
    rig.fail("GET /v1/projects", [503] if name == "careless" else [])
    with serve(rig) as base:
        ran = run_node(programs / f"{name}.mjs", BASE=base, ZOF_API_KEY=ADMIN)
    assert (ran.returncode, ran.stderr) == (0, "")
    comment = (FOLDER / f"{name}.mts").read_text().partition("import ")[0]
    verification = judge(rig.har())
    assert list_broken(verification) == set(re.findall(r"client[.][a-z]+[.][a-z-]+", comment)), explain(verification)


def test_ci_gate_keeps_every_rule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The example to copy breaks no rule, however often the deployment fails."""
    gate = runpy.run_path(str(FOLDER.parents[1] / "examples" / "ci_gate.py"))["main"]
    rig = Rig(rate=2)
    rig.fail("POST /v1/runs", [503, 500, LOST])
    rig.fail("GET /v1/runs/run_.*", [500, 500, 502])
    monkeypatch.setenv("ZOF_API_KEY", ADMIN)
    with serve(rig) as base:
        monkeypatch.setenv("ZOF_BASE_URL", f"{base}/v1")
        assert gate(["proj_abc", "staging", "--suite", "suite_slow"], rig.sleep) == 0
    assert "passed" in capsys.readouterr().out
    verification = judge(rig.har())
    assert list_broken(verification) == set(), explain(verification)
    assert {"client.idempotency.retry-same", "client.retry.retry-after"} <= list_kept(verification)
