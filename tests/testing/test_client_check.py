"""`zof.check_client()`: a client is tried in every situation, and judged by what it sends there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from zof_emulator.scenarios.situations import SITUATIONS
from zof_emulator.testing import BrokenClientRules, UnjudgedClient, running

from tests.client_programs import broken, good
from tests.receivers import receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zof_emulator.testing import Emulator, World

ORDER: Final = {"project_id": "proj_a", "environment": "staging", "test_suite_id": "suite_a"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for this module; the clients move the clock where they would wait."""
    with running(clock="manual") as started:
        yield started


@pytest.fixture
def world(emulator: Emulator) -> World:
    """A world with a manual clock."""
    return emulator.create_world(rate={"limit": 60})


def run_with(program: Callable[..., None]) -> Callable[[World], None]:
    """A client that runs one of the small programs."""

    def client(world: World) -> None:
        with httpx.HTTPTransport(verify=False) as transport:
            program(world.url, world.api_key, lambda seconds: world.clock.advance(ms=round(seconds * 1000)), transport)

    return client


def start_carelessly(world: World) -> None:
    """Start a run without a key, and again at once if that fails."""
    for _ in range(6):
        try:
            if world.client.post("/runs", json=ORDER).is_success:
                return
        except httpx.TransportError:
            pass


def test_a_good_client_keeps_the_rules_in_every_situation(world: World) -> None:
    """A client that follows the advice passes in all situations, and the retry rules are exercised."""
    quick = [one.name for one in SITUATIONS if one.name != "slow"]
    check = world.check_client(run_with(good.run_program), situations=quick)
    assert list(check.situations) == quick
    assert check.findings == ()
    for rule in ("client.idempotency.retry-same", "client.retry.retry-after", "client.retry.transient"):
        assert check.verdicts[rule] == "kept", rule
    assert check.situations["reset"].reactions[0].startswith("POST /v1/runs lost its answer: sent again after ")
    assert check.situations["throttled"].reactions[0].endswith("with the same Idempotency-Key")


def test_all_situations_are_tried(world: World) -> None:
    """A client is tried in all ten situations by default."""
    check = world.check_client(lambda fresh: fresh.client.get("/projects"))
    assert list(check.situations) == [one.name for one in SITUATIONS]
    assert len(check.situations) == 10


def test_a_careless_client_fails_where_it_is_careless(emulator: Emulator) -> None:
    """A client that repeats starts without a key and at once fails the test, with the situations that show it."""
    with pytest.raises(BrokenClientRules, match=r"client\.idempotency\.unkeyed-once") as failed:
        emulator.create_world(clock="real").check_client(start_carelessly, situations=["plain", "throttled", "reset"])
    check = failed.value.check
    assert check.broken_rules >= {"client.idempotency.start-has-key", "client.retry.retry-after"}
    found = {each.rule: each.situations for each in check.findings}
    assert found["client.idempotency.start-has-key"] == ("plain", "throttled", "reset")
    assert found["client.retry.retry-after"] == ("throttled",)
    assert "client.retry.retry-after" not in {each.rule for each in check.situations["reset"].findings}
    assert "throttled: POST /v1/runs was answered 429: sent again after" in str(failed.value)


def test_a_broken_client_is_described(world: World) -> None:
    """Each finding says what was expected, what came, and how to change the client."""
    with pytest.raises(BrokenClientRules) as failed:
        world.check_client(run_with(broken.run_program), situations=["plain"])
    assert failed.value.check.broken_rules >= {"client.idempotency.key-once", "client.secrets.header-only"}
    assert all(each.expected and each.got and each.advice and each.sentence for each in failed.value.check.findings)


def test_rules_can_be_left_out(world: World) -> None:
    """A rule that is excluded does not fail the test."""
    excluded = ["client.idempotency.*", "client.retry.*"]
    check = world.check_client(start_carelessly, situations=["throttled"], exclude=excluded)
    assert not any(name.startswith(("client.idempotency.", "client.retry.")) for name in check.verdicts)


def test_each_situation_has_a_world_that_begins_as_the_own_one(emulator: Emulator) -> None:
    """The client meets the configuration, scenario and keys of the world in worlds that are deleted afterwards."""
    scenario = {
        "base": "none",
        "organizations": [{"id": "org_own"}],
        "keys": [{"secret": "zof_key_own", "role": "QA Lead"}],
    }
    world = emulator.create_world(seed=7, rate={"limit": 9}, scenario=scenario)
    world.client.post("/runs", json=ORDER)
    seen: list[tuple[str, int, str]] = []

    def client(fresh: World) -> None:
        answer = fresh.client.get("/runs")
        organizations = {run["organization_id"] for run in answer.json().get("data", ())}
        seen.append((fresh.api_key, len(answer.json().get("data", ())), answer.headers["x-ratelimit-limit"]))
        assert organizations <= {"org_own"}

    world.check_client(client, situations=["plain", "errors", "pages"], exclude=["client.pages.*"])
    assert seen == [("zof_key_own", 0, "9"), ("zof_key_own", 20, "9"), ("zof_key_own", 0, "9")]
    assert world.journal.count(operation="listRuns") == 0
    names = {one["name"] for one in httpx.get(f"{emulator.url}/_emulator/worlds").json()["data"]}
    assert not {name for name in names if name.startswith("check-")}


def test_webhooks_are_disturbed(world: World) -> None:
    """A receiver that takes forged webhooks is found in the situation that sends them."""
    with receiving() as receiver:

        def client(fresh: World) -> None:
            fresh.webhooks.register(receiver.url, ["run.completed"])
            fresh.client.post("/runs", json=ORDER, headers={"Idempotency-Key": "one"})
            fresh.clock.advance(until="run_ended")
            fresh.clock.advance(until="delivered")

        with pytest.raises(BrokenClientRules) as failed:
            world.check_client(client, situations=["duplicates", "forgeries"])
    (finding,) = failed.value.check.findings
    assert (finding.rule, finding.situations) == ("client.webhooks.tampered", ("forgeries",))


def test_a_client_may_fail_where_something_is_provoked(world: World) -> None:
    """An exception is a part of the result where something is provoked, and fails the test where nothing is."""

    def client(fresh: World) -> None:
        fresh.client.post("/runs", json=ORDER, headers={"Idempotency-Key": "one"}).raise_for_status()

    check = world.check_client(client, situations=["unavailable"], exclude=["client.retry.*"])
    assert isinstance(check.situations["unavailable"].error, httpx.HTTPStatusError)
    with pytest.raises(ZeroDivisionError) as failed:
        world.check_client(lambda fresh: fresh.client.get("/projects").status_code / 0)
    assert "GET /v1/projects -> 200" in failed.value.__notes__[0]


async def wait_for_ever(world: World) -> None:
    """An asynchronous client."""


@pytest.mark.parametrize(
    ("client", "options", "error", "message"),
    [
        (print, {}, UnjudgedClient, "no exchange with the API"),
        (print, {"situations": ["throtled"]}, ValueError, "nearest is throttled"),
        (lambda world: world.client.get("/runs"), {"exclude": ["client.nothing"]}, UnjudgedClient, "client.nothing"),
        (wait_for_ever, {}, TypeError, "asyncio.run"),
    ],
)
def test_what_cannot_be_checked(
    world: World, client: Callable[[World], Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A client that sends nothing or is asynchronous, and names that do not exist, are errors of one line."""
    with pytest.raises(error, match=message) as refused:
        world.check_client(client, **{"situations": ["plain"], **options})
    assert "Traceback" not in str(refused.value)
