"""A signal whose exception was swallowed ends the next wait and the next request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from zof_contracts.target.client import Client
from zof_contracts.target.interruption import INTERRUPTION
from zof_contracts.target.timer import SystemTimer
from zof_contracts.verification import run as runner

from tests.mutants.catalogue import target

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _forget_signal() -> Iterator[None]:
    """Leave no signal to the next test."""
    yield
    INTERRUPTION.acknowledge()


def test_a_signal_ends_a_wait() -> None:
    """A wait of an hour ends as soon as there is a signal."""
    INTERRUPTION.request()
    with pytest.raises(KeyboardInterrupt):
        SystemTimer().sleep(3600)


def test_a_signal_ends_the_next_request() -> None:
    """After a signal no request is sent until it is acknowledged."""
    client = Client(target())
    INTERRUPTION.request()
    with pytest.raises(KeyboardInterrupt):
        client.get("/runs")
    assert client.journal == []
    INTERRUPTION.acknowledge()
    assert client.get("/runs").response.ok


def test_a_verification_whose_part_swallows_a_signal_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that ends as if nothing had happened does not hide the signal, and the runs are cleaned up."""

    def swallow(client: Client, *_: object, **__: object) -> None:
        client.start()
        INTERRUPTION.request()

    monkeypatch.setattr(runner, "PARTS", (("a part", swallow),))
    verification = runner.run(target(), rules=[], max_examples=1)
    assert verification.interrupted
    assert [each.state for each in verification.receipt] == ["canceled"]
