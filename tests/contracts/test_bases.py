"""A base URL with a path: worlds of the emulator, and deployments behind a gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.evidence.exchange import Request
from zof_contracts.evidence.findings import Verdict
from zof_contracts.report.curl import write_script
from zof_contracts.target.client import Client
from zof_contracts.verification.run import run
from zof_emulator import ClockMode, Settings, create_app
from zof_emulator.settings import OFF

from tests.mutants.catalogue import target
from tests.mutants.layer import Mutant, answers, header
from tests.served import Server

if TYPE_CHECKING:
    from zof_contracts import Target

ALPHA = "http://127.0.0.1:9630/w/alpha"


def world(base: str, **settings: Any) -> Target:  # noqa: ANN401
    """A world of the emulator, in process, by its URL alone."""
    keys = {**target().keys}
    del keys["no-projects"]
    app: Any = create_app(Settings(clock=ClockMode.MANUAL, **settings))
    return replace(target(), app=app, url=base, keys=keys, advance=None)


@pytest.mark.parametrize("base", [ALPHA, f"{ALPHA}/", f"{ALPHA}/v1", f"{ALPHA}/v1/"])
def test_a_world_is_verified_like_any_deployment(base: str) -> None:
    """A world of the emulator keeps every rule, with and without /v1 in its URL."""
    facts = run(world(base), max_examples=0)
    assert facts.findings == ()
    left = {each.rule.name for each in facts.results if each.verdict is not Verdict.KEPT}
    assert left <= {
        "auth.projects-permission",
        "limits.default",
        "versioning.unknown-field",
        "versioning.unknown-value",
    }
    assert any("/w/alpha/v1/" in str(each.response.body) for each in facts.journal)


def test_generated_requests_reach_a_world() -> None:
    """Generated requests reach a world, and find nothing."""
    facts = run(world(ALPHA, rate=OFF), max_examples=1)
    assert facts.findings == ()
    assert facts.examples > 200
    assert {each.operation for each in facts.journal if each.response.ok} >= {"startRun", "getRun", "listProjects"}


def test_over_http() -> None:
    """A world over HTTP has a clock of its own, and scripts name the world."""
    with Server("--clock", "manual", "--rate-limit", "off") as server:
        where = replace(world(f"http://127.0.0.1:{server.port}/w/beta/v1"), app=None)
        facts = run(where, max_examples=0)
    assert facts.findings == ()
    assert "runs.start.location" in {each.rule.name for each in facts.results if each.verdict is Verdict.KEPT}
    assert write_script(facts.journal[:1], base=where.base, keys=where.keys).startswith(
        f"export ZOF_BASE_URL=http://127.0.0.1:{server.port}/w/beta/v1\n"
    )


def test_a_location_outside_the_base_is_not_followed() -> None:
    """A Location without the path of the base URL is a finding, and is not followed."""
    outside = answers(lambda a: header(a, "location", "http://127.0.0.1:9630/v1/runs/run_x"), "startRun", 201)
    mutant = Mutant(name="outside", rule="", make=outside)
    base = replace(target(), url=ALPHA).base
    assert base == ALPHA
    where = world(ALPHA)
    facts = run(replace(where, app=_strip_base(mutant, where)), max_examples=0)
    assert {"runs.start.location"} <= {one.rule.name for one in facts.findings}
    with pytest.raises(ValueError, match="not below"):
        Client(where).follow("http://127.0.0.1:9630/v1/runs/run_x")


def _strip_base(mutant: Mutant, where: Target) -> Any:  # noqa: ANN401  an application
    """The defect in front of the world: it sees paths that begin with /v1."""
    inner = Client(where).transport

    class Behind:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI
            path = scope["path"].removeprefix("/w/alpha")
            layer: Any = mutant.over(self)
            layer.inner = inner
            await layer({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    return Behind()


def test_a_link_is_followed_below_the_base() -> None:
    """A link below the path of the base URL is followed, whatever host it names."""
    client = Client(world(ALPHA))
    assert client.follow("https://elsewhere.test/w/alpha/v1/runs?limit=1").request == Request(
        "GET", "/v1/runs", "limit=1"
    )
