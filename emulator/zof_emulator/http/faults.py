"""Faults: carries out the fault rules of a world, and what a request asks for by `Prefer`.

A request that no rule of its operation concerns and that has no `Prefer` does not come here. The core decides which
rule is due; this module makes its answer, and `http.broken_answers` sends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from zof_emulator.core.faults import NO_CONTENT, Effect, EffectKind, FaultMark, Place
from zof_emulator.core.instants import SECOND
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.messages import Encoded
from zof_emulator.http.broken_answers import BrokenAnswer, hold_undisturbed, is_undisturbed, send_broken
from zof_emulator.http.encode import encode_json
from zof_emulator.http.fault_match import find_key, may_match, read_call
from zof_emulator.http.outcome import Outcome, encode_refusal
from zof_emulator.http.preferences import NO_PREFERENCES, PREFER, Preferences, read_preferences
from zof_emulator.http.send import send_answer
from zof_emulator.http.waits import wait_until_settled
from zof_emulator.journal.ring import DelayedArrival

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Send

    from zof_emulator.core.tenants import Key
    from zof_emulator.http.api import Arrival, OpenApiApp
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.http.outcome import Headers
    from zof_emulator.spec.operation import Operation, Refusal

BY_PREFERENCE: Final = "prefer"
"""The ID of a fault that the request asked for."""
NO_ANSWER: Final = 0
"""The status of an exchange in which nothing was answered."""
_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; charset=utf-8"
_TYPE: Final = b"content-type"
_LENGTH: Final = b"content-length"
_LIMIT: Final = "x-ratelimit-limit"
_TOO_MANY: Final = 429
_SILENT: Final = frozenset({EffectKind.RESET, EffectKind.STALL})
_ANSWERED: Final = frozenset({EffectKind.ERROR, EffectKind.STATUS})


class _Fault(NamedTuple):
    """A fault that a request meets."""

    mark: FaultMark
    effect: Effect
    latency_ms: int

    @property
    def replaces_answer(self) -> bool:
        """Whether the client gets another answer, or none."""
        return self.effect.kind in _ANSWERED or self.effect.kind in _SILENT

    @property
    def comes_first(self) -> bool:
        """Whether the request is not carried out."""
        return self.mark.place is Place.BEFORE and self.replaces_answer


class FaultInjector:
    """Answers the requests that fault rules or preferences may concern."""

    def __init__(self, api: OpenApiApp, reasons: Mapping[str, Refusal], *, has_preferences: bool) -> None:
        """`reasons` gives the text that refuses a preference; without `has_preferences` the header is ignored."""
        self._api = api
        self._reasons = reasons
        self._has_preferences = has_preferences

    def may_answer(self, arrival: Arrival, hosted: HostedWorld) -> bool:
        """Whether a request has preferences or a rule may match it, judged at little cost."""
        if self._has_preferences and PREFER in arrival.headers:
            return True
        tables = hosted.world.faults.tables
        for name in (arrival.operation.id, ""):
            table = tables.get(name)
            if table is not None and may_match(table, arrival, hosted):
                return True
        return False

    async def answer(self, arrival: Arrival, hosted: HostedWorld, receive: Receive, send: Send) -> bool:
        """Answer a request that has preferences or meets a fault; return whether it did."""
        preferences, refusal = NO_PREFERENCES, None
        has_preferences = self._has_preferences and PREFER in arrival.headers
        if has_preferences:
            try:
                preferences = read_preferences(arrival.scope["headers"], arrival.operation)
            except Refused as refused:
                refusal = Outcome(encode_refusal(self._reasons, refused), reason=refused.reason)
        fault = self._find(arrival, hosted, preferences) if refusal is None else None
        if fault is None and not has_preferences:
            return False
        is_undisturbed_call = is_undisturbed(arrival.scope)
        delay = preferences.wait_ms if fault is None or fault.mark.place is not Place.BEFORE else fault.latency_ms
        came = _note_arrival(hosted) if delay else None
        if delay and is_undisturbed_call:
            await hold_undisturbed(arrival.scope)
        elif delay:
            await hosted.pauses.pause(BY_PREFERENCE if fault is None else fault.mark.id, delay)
            await wait_until_settled(hosted)

        def alter(carry_out: Callable[[], Outcome]) -> Outcome:
            outcome = _make(arrival, hosted, fault, carry_out) if refusal is None else refusal
            return _add_headers(outcome, preferences, fault)._replace(arrival=came)

        encoded, headers, sending = await self._api.carry_out(arrival, hosted, alter)
        if fault is None or is_undisturbed_call:
            await send_answer(send, arrival.scope, encoded, headers, self._api.deliveries.lock, sending)
            return True
        broken = BrokenAnswer(fault.mark, fault.effect, fault.latency_ms, encoded, headers)
        await send_broken(broken, arrival.scope, hosted.pauses, receive, send)
        return True

    def _find(self, arrival: Arrival, hosted: HostedWorld, preferences: Preferences) -> _Fault | None:
        """The fault that a request meets: the one that it asks for, or else that of the first rule that is due."""
        if preferences.error:
            effect = Effect(kind=EffectKind.ERROR, error=preferences.error)
            mark = FaultMark(BY_PREFERENCE, Place.BEFORE, EffectKind.ERROR)
            return _Fault(mark, effect, preferences.wait_ms)
        with self._api.deliveries.lock:
            world = hosted.settle()
            tables = world.faults.find_tables(arrival.operation.id)
            firing = world.faults.find(read_call(arrival, hosted, tables)) if tables else None
        if firing is None:
            return None
        rule = firing.rule
        if rule.effect.error and rule.effect.error not in arrival.operation.reasons:
            return None  # the document has not judged the rule, as when an edited snapshot was restored
        mark = FaultMark(firing.id, rule.place, rule.effect.kind)
        wait_ms = preferences.wait_ms if rule.place is Place.BEFORE else 0  # otherwise it is over by then
        return _Fault(mark, rule.effect, firing.latency_ms + wait_ms)


def _note_arrival(hosted: HostedWorld) -> DelayedArrival | None:
    """When a request came that is delayed now; None without a journal."""
    hosted.pauses.delayed += 1
    return None if hosted.journal is None else DelayedArrival(hosted.journal.count, hosted.pauses.delayed)


def _make(arrival: Arrival, hosted: HostedWorld, fault: _Fault | None, carry_out: Callable[[], Outcome]) -> Outcome:
    """The outcome of a request; called with the lock held."""
    if fault is None:
        return carry_out()
    if fault.comes_first:
        key = find_key(arrival, hosted)
        limits = _build_limit_headers(arrival.operation, fault.effect, key, hosted)
        outcome = Outcome(Encoded(NO_ANSWER, (), b""), "" if key is None else key.organization, limits=limits)
    else:
        outcome = carry_out()
        outcome = outcome._replace(encoded=_distort(outcome.encoded, fault))
    outcome = outcome._replace(fault=fault.mark)
    if fault.effect.kind in _ANSWERED:
        encoded = _encode_effect(fault.effect, arrival.operation)
        if fault.effect.kind is EffectKind.ERROR:
            encoded = hosted.encoder.evolve_error(encoded)
        outcome = outcome._replace(encoded=encoded, reason=fault.effect.error)
    return outcome


def _encode_effect(effect: Effect, operation: Operation) -> Encoded:
    """The answer that an effect puts in the place of the real one."""
    if effect.kind is EffectKind.ERROR:
        return _encode_error(effect, operation)
    content, media_type = b"", None
    if effect.body is not None:
        content, media_type = effect.body.encode(), _JSON
    elif effect.text is not None:
        content, media_type = effect.text.encode(), _TEXT
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in effect.headers]
    if media_type is not None and not any(name == _TYPE for name, _ in headers):
        headers.insert(0, (_TYPE, media_type))
    if effect.status not in NO_CONTENT:
        headers.append((_LENGTH, b"%d" % len(content)))
    return Encoded(effect.status, tuple(headers), content)


def _encode_error(effect: Effect, operation: Operation) -> Encoded:
    """A documented error, as the document's example has it, with the headers that the document requires."""
    refusal = operation.reasons[effect.error]
    required = operation.answers[refusal.status].required
    example = refusal.example
    if "{seconds}" in refusal.message:
        example = refusal.build_error(Refused(effect.error, seconds=_retry_after(effect)))
    if "content-range" in required:  # as of an empty file, since the request may ask for no range
        example = refusal.build_error(Refused(effect.error, "Range", size=0))
    content = encode_json(example)
    headers = [(_TYPE, _JSON), (_LENGTH, b"%d" % len(content))]
    if "content-range" in required:
        headers.append((b"content-range", b"bytes */0"))
    if "www-authenticate" in required:
        headers.append((b"www-authenticate", b"Bearer"))
    if "retry-after" in required or effect.retry_after is not None:
        headers.append((b"retry-after", b"%d" % _retry_after(effect)))
    return Encoded(refusal.status, tuple(headers), content)


def _retry_after(effect: Effect) -> int:
    return 1 if effect.retry_after is None else effect.retry_after


def _build_limit_headers(operation: Operation, effect: Effect, key: Key | None, hosted: HostedWorld) -> Headers:
    """The headers of the rate limit that the document demands of an error, for a request that is not counted."""
    if effect.kind is not EffectKind.ERROR:
        return ()
    status = operation.reasons[effect.error].status
    if _LIMIT not in operation.answers[status].required:
        return ()
    world = hosted.world
    verdict = world.limiter.peek("" if key is None else key.organization, "" if key is None else key.secret, world.now)
    remaining, reset = verdict.remaining, verdict.reset
    if status == _TOO_MANY:
        remaining, reset = 0, -(-world.now // SECOND) + _retry_after(effect)
    return (
        (_LIMIT.encode(), b"%d" % verdict.limit),
        (b"x-ratelimit-remaining", b"%d" % remaining),
        (b"x-ratelimit-reset", b"%d" % reset),
    )


def _distort(encoded: Encoded, fault: _Fault) -> Encoded:
    """The real answer, made in one piece, with the changes that its framing survives."""
    encoded = encoded._replace(content=b"".join(encoded.pieces()))
    if fault.effect.kind is EffectKind.CONTENT_TYPE:
        value = fault.effect.content_type.encode()
        headers = tuple((name, value if name == _TYPE else old) for name, old in encoded.headers)
        return encoded._replace(headers=headers)
    if fault.effect.kind is EffectKind.MALFORMED_JSON:
        content = b"".join(encoded.pieces())[:-1]
        headers = tuple((name, b"%d" % len(content) if name == _LENGTH else old) for name, old in encoded.headers)
        return Encoded(encoded.status, headers, content)
    return encoded


def _add_headers(outcome: Outcome, preferences: Preferences, fault: _Fault | None) -> Outcome:
    """The outcome with the headers that the request asked for."""
    encoded = outcome.encoded
    headers = list(encoded.headers)
    if preferences.applied:
        headers.append((b"preference-applied", ", ".join(preferences.applied).encode("latin-1")))
    if preferences.shows_fault and fault is not None:
        headers.append((b"x-zof-fault", fault.mark.id.encode()))
    return outcome._replace(encoded=encoded._replace(headers=tuple(headers)))
