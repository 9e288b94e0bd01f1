"""The outbox: order, retries, bounds and disturbances; the test supplies the clock and the receiver."""

from __future__ import annotations

import json
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core import outbox as outbox_module
from zof_emulator.core.deliveries import (
    LONGEST_HOLD_MS,
    RETRY_AFTER_MS,
    Action,
    AttemptResult,
    DeliveryKind,
    DeliveryRule,
    DeliveryStatus,
    EventFacts,
    Tampering,
)
from zof_emulator.core.endpoints import EventType, Registration
from zof_emulator.core.outbox import NO_OLDER_EVENT, Outbox
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_emulator.core.deliveries import Delivery

OK = AttemptResult(204)
DOWN = AttemptResult(None, "the connection was refused")
COMPLETED = EventType.RUN_COMPLETED
ORGANIZATION = "org_a"


class Play:
    """An outbox, its agenda, and a clock that moves from one due action to the next."""

    def __init__(self, endpoints: int = 1) -> None:
        self.now = 0
        self.agenda: list[tuple[int, int]] = []
        self.outbox = Outbox(0, lambda at, endpoint: heappush(self.agenda, (at, endpoint)))
        for _ in range(endpoints):
            asked = Registration("http://127.0.0.1:1/", (COMPLETED, EventType.RUN_FAILED))
            self.outbox.endpoints.register(self.outbox.ids, ORGANIZATION, asked, 0)
        self.sent: list[tuple[int, int, int]] = []
        """Instant, endpoint and event of every attempt."""

    def publish(self, count: int = 1, kind: EventType = COMPLETED) -> None:
        """Let some events happen."""
        for _ in range(count):
            self.outbox.publish(kind, ORGANIZATION, EventFacts("run_1", "run_1"), self.now)

    def send(self, answer: Callable[[Delivery], AttemptResult] = lambda _: OK) -> None:
        """Send all that is due now, with these answers."""
        while taken := self.outbox.take(self.now):
            for one in taken:
                self.sent.append((self.now, one.endpoint, one.event.number))
                self.outbox.finish(one.number, answer(one), self.now)

    def run(self, answer: Callable[[Delivery], AttemptResult] = lambda _: OK) -> None:
        """Send all that is due now or later, moving the clock."""
        self.send(answer)
        while self.agenda:
            at, endpoint = heappop(self.agenda)
            self.now = max(self.now, at)
            self.outbox.wake(endpoint)
            self.send(answer)

    @property
    def all(self) -> list[Delivery]:
        """All deliveries, the oldest first."""
        return list(self.outbox.deliveries())


def test_an_event_reaches_each_subscriber_once() -> None:
    """An event becomes one delivery for each subscriber, under one event number; without subscribers, none."""
    play = Play(2)
    play.publish()
    assert play.outbox.publish(EventType.AGENT_OFFLINE, ORGANIZATION, EventFacts("a", None), 0) == 0
    play.run()
    assert play.sent == [(0, 0, 0), (0, 1, 0)]
    assert {one.status for one in play.all} == {DeliveryStatus.DELIVERED}
    assert (play.outbox.open_count, play.outbox.event_count) == (0, 1)


def test_a_failed_delivery_is_retried_and_then_given_up() -> None:
    """The waits are 10 s, 1 min, 5 min and 30 min of the world's time; the fifth failed attempt is the last."""
    play = Play()
    play.publish()
    play.run(lambda _: AttemptResult(500))
    waits = [sum(RETRY_AFTER_MS[:count]) for count in range(5)]
    assert [at for at, _, _ in play.sent] == waits
    assert RETRY_AFTER_MS == (10_000, 60_000, 300_000, 1_800_000)
    assert play.all[0].status is DeliveryStatus.FAILED
    assert len(play.all[0].attempts) == 5


@pytest.mark.parametrize(("status", "is_success"), [(199, False), (200, True), (204, True), (299, True), (300, False)])
def test_every_2xx_is_success(status: int, is_success: bool) -> None:  # noqa: FBT001  a case
    """Any 2xx status ends a delivery; any other status leads to a retry."""
    play = Play()
    play.publish()
    play.send(lambda _: AttemptResult(status))
    assert (play.all[0].status is DeliveryStatus.DELIVERED) is is_success


def test_a_refused_address_is_not_tried_again() -> None:
    """A refused address is recorded on the delivery, and the next event is sent."""
    play = Play()
    play.publish(2)
    play.run(lambda one: AttemptResult(None, "no", is_refused=True) if one.event.number == 0 else OK)
    assert [one.status for one in play.all] == [DeliveryStatus.REFUSED, DeliveryStatus.DELIVERED]
    assert not play.agenda


@given(
    answers=st.lists(st.booleans(), max_size=60),
    events=st.integers(1, 15),
    endpoints=st.integers(1, 3),
)
def test_events_arrive_in_order_per_endpoint(answers: list[bool], events: int, endpoints: int) -> None:
    """An endpoint gets event n + 1 only after n was delivered or given up, for any answers of the receivers."""
    play = Play(endpoints)
    play.publish(events)
    script = iter(answers)
    play.run(lambda _: OK if next(script, True) else DOWN)
    for endpoint in range(endpoints):
        numbers = [event for _, one, event in play.sent if one == endpoint]
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(events))
    assert play.outbox.open_count == 0


def test_an_endpoint_does_not_wait_for_another() -> None:
    """While an endpoint's delivery is being sent, its next ones wait, and those of other endpoints are taken."""
    play = Play(2)
    play.publish(2)
    first = play.outbox.take(0)
    assert [(one.endpoint, one.event.number) for one in first] == [(0, 0), (1, 0)]
    play.outbox.finish(first[1].number, OK, 0)
    assert [(one.endpoint, one.event.number) for one in play.outbox.take(0)] == [(1, 1)]
    assert play.outbox.has_due(0)


def test_a_full_queue_drops_what_comes_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the bound the newest delivery is dropped with a note and counted, and the others stay."""
    monkeypatch.setattr(outbox_module, "MOST_QUEUED", 3)
    play = Play()
    play.publish(5)
    assert play.outbox.overflowed == 2
    assert [one.note for one in play.all] == ["", "", "", outbox_module.QUEUE_FULL, outbox_module.QUEUE_FULL]
    play.run()
    assert [event for _, _, event in play.sent] == [0, 1, 2]


def test_finished_deliveries_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of stored ended deliveries is bounded; the oldest are deleted first, and counted."""
    monkeypatch.setattr(outbox_module, "MOST_FINISHED", 4)
    play = Play()
    for _ in range(10):
        play.publish()
        play.send()
    assert [one.event.number for one in play.all] == [6, 7, 8, 9]
    assert play.outbox.forgotten == 6


@given(data=st.data(), steps=st.lists(st.integers(1, 3), min_size=1, max_size=5))
def test_a_saved_outbox_shows_no_order_of_answers(data: st.DataObject, steps: list[int]) -> None:
    """The order in which receivers answer at one instant changes nothing, not even which ended deliveries are kept."""
    one, other = Play(endpoints=4), Play(endpoints=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox_module, "MOST_FINISHED", 5)
        for count in steps:
            for play in (one, other):
                play.publish(count)
                play.now += RETRY_AFTER_MS[0]
            while taken := one.outbox.take(one.now):
                assert {found.number for found in other.outbox.take(other.now)} == {found.number for found in taken}
                shuffled = data.draw(st.permutations(taken))
                for play, order in ((one, taken), (other, shuffled)):
                    for found in order:
                        play.outbox.finish(found.number, DOWN if found.number % 3 == 0 else OK, play.now)
    assert one.outbox.save() == other.outbox.save()


def rule(play: Play, action: Action, **words: Any) -> None:  # noqa: ANN401  a field of a rule
    """Add a rule."""
    play.outbox.add_rule(DeliveryRule(0, action)._replace(**words))


def test_rules_drop_delay_and_duplicate() -> None:
    """The first matching rule applies its action, up to its number of times."""
    play = Play()
    rule(play, Action.DROP, times=1)
    rule(play, Action.DUPLICATE, times=1)
    rule(play, Action.DELAY, delay_ms=700, times=1)
    play.publish(4)
    play.run()
    assert play.sent == [(0, 0, 1), (0, 0, 1), (700, 0, 2), (700, 0, 3)]
    assert not play.outbox.rules


def test_a_rule_is_for_what_it_names() -> None:
    """A rule that names an endpoint or a type does not affect other deliveries."""
    play = Play(2)
    rule(play, Action.DROP, endpoint=1, type=EventType.RUN_FAILED)
    play.publish()
    play.publish(kind=EventType.RUN_FAILED)
    play.run()
    assert sorted(play.sent) == [(0, 0, 0), (0, 0, 1), (0, 1, 0)]


def test_a_reordered_delivery_is_overtaken() -> None:
    """A reordered delivery is sent right after the next one, or after `LONGEST_HOLD_MS` if none follows."""
    play = Play()
    rule(play, Action.REORDER, times=1)
    play.publish(3)
    play.run()
    assert [event for _, _, event in play.sent] == [1, 0, 2]
    alone = Play()
    rule(alone, Action.REORDER)
    alone.publish()
    alone.run()
    assert alone.sent == [(LONGEST_HOLD_MS, 0, 0)]


@pytest.mark.parametrize("tampering", Tampering)
def test_a_tampered_copy_goes_before_the_genuine_event(tampering: Tampering) -> None:
    """A falsified copy is sent once, whatever the answer, and the genuine delivery follows."""
    play = Play()
    play.publish()
    play.send()
    rule(play, Action.TAMPER, tampering=tampering)
    play.publish()
    play.run(lambda one: AttemptResult(400) if one.tampering else OK)
    copy, genuine = play.all[1:]
    assert (copy.kind, copy.tampering, copy.status) == (DeliveryKind.TAMPERED, tampering, DeliveryStatus.FAILED)
    assert copy.event.number == (0 if tampering is Tampering.OLD_EVENT else 1)
    assert (genuine.kind, genuine.status, genuine.event.number) == (DeliveryKind.EVENT, DeliveryStatus.DELIVERED, 1)
    assert len(copy.attempts) == 1


def test_a_rule_waits_for_an_older_event() -> None:
    """A rule that sends an older event says on the delivery that there is none, and applies to the next delivery."""
    play = Play()
    rule(play, Action.TAMPER, tampering=Tampering.OLD_EVENT, times=1)
    play.publish()
    play.run()
    assert [(one.kind, one.note, one.status) for one in play.all] == [
        (DeliveryKind.EVENT, NO_OLDER_EVENT, DeliveryStatus.DELIVERED)
    ]
    play.publish(2)
    play.run()
    assert [(one.event.number, one.kind, one.note) for one in play.all[1:]] == [
        (0, DeliveryKind.TAMPERED, ""),
        (1, DeliveryKind.EVENT, ""),
        (2, DeliveryKind.EVENT, ""),
    ]


def test_deliveries_are_disturbed_on_demand() -> None:
    """A pending delivery can be dropped, delayed and reordered; any delivery can be repeated or falsified."""
    play = Play()
    play.publish(3)
    first, second, third = play.all
    play.outbox.reorder(first, 0)
    assert play.outbox.drop(third, 0).status is DeliveryStatus.DROPPED
    play.outbox.duplicate(first, 0)
    play.outbox.delay(second, 500, 0)
    play.run()
    assert play.sent == [(500, 0, 1), (500, 0, 0), (500, 0, 0)]
    play.outbox.redeliver(third, play.now)
    play.outbox.tamper(third, Tampering.OLD_EVENT, play.now)
    play.send()
    assert [event for _, _, event in play.sent[3:]] == [2, 0]
    with pytest.raises(Refused, match="delivery_not_pending"):
        play.outbox.drop(first._replace(status=DeliveryStatus.DELIVERED), 0)
    with pytest.raises(Refused, match="no_older_event"):
        Play().outbox.tamper(first, Tampering.OLD_EVENT, 0)


def test_a_dropped_head_makes_room_at_once() -> None:
    """When the first of a queue is dropped while it waits for a retry, the next one is sent at once."""
    play = Play()
    play.publish(2)
    play.send(lambda _: DOWN)
    play.outbox.drop(play.all[0], play.now)
    play.send()
    assert [event for _, _, event in play.sent] == [0, 1]


@given(
    steps=st.lists(
        st.sampled_from(["publish", "send", "fail", "wait", "take", "drop", "reorder", "delay", "rule"]), max_size=25
    )
)
def test_a_saved_outbox_goes_on_as_the_first(steps: list[str]) -> None:
    """After any history, an outbox restored from JSON sends the same events in the same order."""
    play = Play(2)
    for step in steps:
        pending = [one for one in play.all if one.status is DeliveryStatus.PENDING]
        if step == "publish":
            play.publish(2)
        elif step in {"send", "fail"}:
            play.send(lambda _, step=step: OK if step == "send" else DOWN)  # type: ignore[misc]
        elif step == "take":
            play.outbox.take(play.now)
        elif step == "wait":
            play.now += 9_000
        elif step == "rule":
            rule(play, Action.DUPLICATE, times=1)
        elif pending:
            change = {"drop": play.outbox.drop, "reorder": play.outbox.reorder}.get(step)
            _ = change(pending[-1], play.now) if change else play.outbox.delay(pending[-1], 99, play.now)
    saved = json.loads(json.dumps(play.outbox.save()))
    again = Play()
    again.outbox = Outbox(0, lambda at, endpoint: heappush(again.agenda, (at, endpoint)))
    again.outbox.restore(saved)
    assert json.loads(json.dumps(again.outbox.save())) == saved
    other = Play()
    other.outbox = Outbox(0, lambda at, endpoint: heappush(other.agenda, (at, endpoint)))
    other.outbox.restore(saved)
    for one in (again, other):
        one.agenda, one.now, one.sent = list(play.agenda), play.now, []
        one.run()
        assert one.outbox.open_count == 0
    assert again.sent == other.sent


def test_a_mutilated_outbox_is_refused() -> None:
    """Saved parts that contradict one another are refused."""
    play = Play()
    play.publish(2)
    saved = json.loads(json.dumps(play.outbox.save()))
    for part, value in (("queues", []), ("deliveries", []), ("endpoints", []), ("finished", [0])):
        with pytest.raises(ValueError, match="missing"):
            Outbox(0, lambda _at, _endpoint: None).restore({**saved, part: value})
