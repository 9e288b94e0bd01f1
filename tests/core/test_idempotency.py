"""Idempotency: stored answers against a dict, with an expiry in ms and a bound in bytes."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from zof_emulator.core.idempotency import IdempotencyStore, Scope
from zof_emulator.core.refusal import Refused

KEEP_MS = 1_000
MOST_BYTES = 100
SCOPES = [
    Scope("org_a", "POST", "/v1/runs", "k"),
    Scope("org_b", "POST", "/v1/runs", "k"),
    Scope("org_a", "PUT", "/v1/runs", "k"),
    Scope("org_a", "POST", "/v1/results/export", "k"),
    Scope("org_a", "POST", "/v1/runs", "K"),
]
BODIES = (b"one", b"two")


class Answers(RuleBasedStateMachine):
    """A store, and a dict of its expected entries: body, answer, size, and instant."""

    def __init__(self) -> None:
        super().__init__()
        self.keeper: IdempotencyStore[str] = IdempotencyStore(KEEP_MS, MOST_BYTES)
        self.model: dict[Scope, tuple[bytes, str, int, int]] = {}
        self.now = 0
        self.count = 0

    def alive(self, scope: Scope) -> bool:
        """Whether an answer is stored and has not expired."""
        return scope in self.model and self.now < self.model[scope][3] + KEEP_MS

    @rule(by=st.sampled_from([0, 1, KEEP_MS - 1, KEEP_MS]) | st.integers(0, KEEP_MS))
    def wait(self, by: int) -> None:
        """Advance the time."""
        self.now += by

    @rule(scope=st.sampled_from(SCOPES), body=st.sampled_from(BODIES))
    def recall(self, scope: Scope, body: bytes) -> None:
        """The same body gets its answer, another body is refused, and an unknown key gets nothing."""
        if not self.alive(scope):
            assert self.keeper.recall(scope, body, self.now) is None
        elif self.model[scope][0] == body:
            assert self.keeper.recall(scope, body, self.now) == self.model[scope][1]
        else:
            with pytest.raises(Refused) as refused:
                self.keeper.recall(scope, body, self.now)
            assert (refused.value.reason, refused.value.param) == ("idempotency_key_reused", "Idempotency-Key")

    @rule(scope=st.sampled_from(SCOPES), body=st.sampled_from(BODIES), size=st.integers(0, MOST_BYTES + 1))
    @precondition(lambda self: self.now < KEEP_MS * 20)
    def keep(self, scope: Scope, body: bytes, size: int) -> None:
        """The oldest answers are deleted, and only those that had not expired are counted."""
        self.count += 1
        answer = f"answer {self.count}"
        self.model.pop(scope, None)
        self.model = {one: kept for one, kept in self.model.items() if self.alive(one)}
        self.model[scope] = body, answer, size, self.now
        forgotten = 0
        while sum(kept[2] for kept in self.model.values()) > MOST_BYTES:
            del self.model[min(self.model, key=lambda one: int(self.model[one][1].split()[1]))]
            forgotten += 1
        assert self.keeper.keep(scope, body, answer, size, self.now) == forgotten

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        """The store holds exactly the answers of the model, so its bytes are bounded."""
        assert len(self.keeper) == len(self.model)


TestAnswers = Answers.TestCase
"""An answer is kept for its time, to the millisecond, unless younger ones need the room."""
TestAnswers.settings = settings(max_examples=60, stateful_step_count=30)


def test_an_answer_expires_to_the_millisecond() -> None:
    """An answer is replayed until one ms before its expiry; then its key is free for any body."""
    keeper: IdempotencyStore[str] = IdempotencyStore(KEEP_MS, MOST_BYTES)
    keeper.keep(SCOPES[0], b"one", "first", 1, now=5)
    assert keeper.recall(SCOPES[0], b"one", KEEP_MS + 4) == "first"
    assert keeper.recall(SCOPES[0], b"two", KEEP_MS + 5) is None


def test_the_oldest_is_forgotten_first_and_counted() -> None:
    """A full store deletes the oldest answers and reports how many of them had not expired."""
    keeper: IdempotencyStore[str] = IdempotencyStore(KEEP_MS, MOST_BYTES)
    assert [keeper.keep(scope, b"one", "kept", 40, now) for now, scope in enumerate(SCOPES[:4])] == [0, 0, 1, 1]
    assert [keeper.recall(scope, b"one", 4) for scope in SCOPES[:4]] == [None, None, "kept", "kept"]


def test_an_expired_answer_that_goes_is_not_counted() -> None:
    """Deleting expired answers is not reported as a loss."""
    keeper: IdempotencyStore[str] = IdempotencyStore(KEEP_MS, MOST_BYTES)
    keeper.keep(SCOPES[0], b"one", "old", 90, now=0)
    assert keeper.keep(SCOPES[1], b"one", "new", 90, now=KEEP_MS) == 0
    assert len(keeper) == 1


def test_an_answer_that_is_kept_again_is_the_youngest() -> None:
    """A key that is used again after its expiry gets a new full lifetime."""
    keeper: IdempotencyStore[str] = IdempotencyStore(KEEP_MS, MOST_BYTES)
    keeper.keep(SCOPES[0], b"one", "first", 60, now=0)
    keeper.keep(SCOPES[0], b"two", "second", 60, now=KEEP_MS)
    assert keeper.recall(SCOPES[0], b"two", 2 * KEEP_MS - 1) == "second"
    assert keeper.keep(SCOPES[1], b"one", "third", 60, now=KEEP_MS) == 1
