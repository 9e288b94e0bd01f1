"""`zof-emulator webhooks` prints a line for each attempt, or one error if there is no emulator."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from zof_emulator.cli.webhooks import Follower, webhooks

from tests.receivers import answer, receiving, silent
from tests.served import Server
from tests.webhooks.test_receivers import call


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
    """After a reset, whose deliveries are numbered anew, the new attempts are printed."""
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


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nothing"])
def test_no_emulator_is_one_line(url: str) -> None:
    """If no emulator answers, the error names the URL and the option."""
    found = CliRunner().invoke(webhooks, ["--once", "--url", url])
    assert found.exit_code == 1
    assert "--url" in found.output
