"""`zof-emulator webhooks` prints a line for each attempt, or one error if there is no emulator."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from zof_emulator.cli.webhooks import Follower, webhooks

from tests.receivers import answer, receiving, silent
from tests.served import Server
from tests.webhooks.test_receivers import call
from tests.zof import STAGING


def test_each_attempt_is_one_line() -> None:
    """Every attempt is printed once, with its time, event, number, URL and result."""
    with receiving(lambda _: answer(503)) as receiver, Server("--clock", "manual", "--quiet") as server:
        url = f"http://127.0.0.1:{server.port}"
        follower = Follower(url, "")
        hook = call(server, "POST", "/v1/webhooks", {"url": receiver.url, "events": ["run.failed"]})
        event = call(server, "POST", f"/v1/webhooks/{hook['id']}/test", {})
        call(server, "POST", "/_emulator/clock/advance", {"until": "webhook_due"})
        lines = list(follower.poll())
        assert lines == [
            f"2026-01-01T00:00:{second}.000Z run.failed {event['id']} test attempt {number} to {receiver.url}: 503"
            " (pending)"
            for number, second in ((1, "00"), (2, "10"))
        ]
        call(server, "POST", "/_emulator/clock/advance", {"until": "delivered"})
        assert [line.rpartition(" ")[2] for line in follower.poll()] == ["(failed)"] * 3
        assert list(follower.poll()) == []
        printed = CliRunner().invoke(webhooks, ["--once", "--url", url])
        assert len(printed.output.splitlines()) == 5
        server.stop()


def test_a_reset_world_is_followed_from_its_beginning() -> None:
    """A reset restarts the numbers of deliveries, and the new attempts are printed all the same."""
    with receiving() as receiver, Server("--clock", "manual", "--quiet") as server:
        follower = Follower(f"http://127.0.0.1:{server.port}", "")
        for count in (2, 1, 3):
            call(server, "POST", "/_emulator/reset", {})
            hook = call(server, "POST", "/v1/webhooks", {"url": receiver.url, "events": ["run.failed"]})
            call(server, "POST", "/_emulator/clock/advance", {"by_ms": count})
            for _ in range(count):
                call(server, "POST", f"/v1/webhooks/{hook['id']}/test", {})
            call(server, "POST", "/_emulator/clock/advance", {"until": "delivered"})
            assert len(list(follower.poll())) == count
        server.stop()


def test_undelivered_events_are_reported_at_the_end() -> None:
    """`zof-emulator serve` reports at its end how many deliveries were not completed, and does not wait for them."""
    with silent() as receiver, Server("--clock", "manual", "--quiet") as server:
        call(server, "POST", "/v1/webhooks", {"url": receiver.url, "events": ["run.failed"]})
        for _ in range(2):
            call(server, "POST", "/_emulator/events", {"type": "run.failed"})
        receiver.wait_for(1)
        server.stop()
        assert "2 webhook deliveries were neither delivered nor given up" in server.log


def _deliver(server: Server, world: str = "", case: str = "tc_a") -> None:
    """Start a run of a world, and let the delivery of its start be attempted."""
    call(server, "POST", f"{world}/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["run.started"]})
    call(server, "POST", f"{world}/v1/runs", {**STAGING, "test_case_ids": [case]})
    call(server, "POST", f"{world}/_emulator/clock/advance", {"by_ms": 1})


def test_a_world_that_is_replaced_by_an_equal_one() -> None:
    """Each attempt of a new world is printed once, also if it equals one of the world before."""
    with Server("--clock", "manual", "--quiet") as server:
        follower = Follower(f"http://127.0.0.1:{server.port}", "")
        _deliver(server)
        before = list(follower.poll())
        snapshot = call(server, "GET", "/_emulator/snapshot")
        for method, path, body in (
            ("POST", "/_emulator/reset", None),
            ("PUT", "/_emulator/scenario", {"scenario": "default"}),
            ("PUT", "/_emulator/snapshot", snapshot),
        ):
            call(server, method, path, body)
            if path != "/_emulator/snapshot":
                _deliver(server)
            assert list(follower.poll()) == before
            assert list(follower.poll()) == []
        assert len(before) == 1
        server.stop()


def test_a_world_that_does_not_exist() -> None:
    """With --once, a URL of a world that does not exist is an error, which names the nearest one."""
    with Server("--clock", "manual", "--quiet") as server:
        url = f"http://127.0.0.1:{server.port}"
        call(server, "POST", "/_emulator/worlds", {"name": "checkout"})
        _deliver(server, "/w/checkout")
        found = CliRunner().invoke(webhooks, ["--once", "--url", f"{url}/w/checkuot"])
        assert found.exit_code == 1
        assert f"there is no world 'checkuot' at {url}/w/checkuot; the nearest is checkout" in found.output
        found = CliRunner().invoke(webhooks, ["--once", "--url", f"{url}/w/checkout/"])
        assert (found.exit_code, len(found.output.splitlines())) == (0, 1)
        server.stop()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:9630", "nothing", "http://a b", "http://127.0.0.1:99999"])
def test_no_url(url: str) -> None:
    """A text that is no URL of an emulator is refused with its value and what is allowed."""
    found = CliRunner().invoke(webhooks, ["--once", "--url", url])
    assert found.exit_code == 2
    assert f"invalid URL {url!r}: use a scheme, a host and a path" in found.output


def test_no_emulator_is_one_line() -> None:
    """If no emulator answers, the error names the URL and the option."""
    found = CliRunner().invoke(webhooks, ["--once", "--url", "http://127.0.0.1:1"])
    assert found.exit_code == 1
    assert "--url" in found.output
