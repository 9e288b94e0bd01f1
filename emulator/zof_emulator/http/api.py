"""The pipeline: decodes, judges and answers a request, each once, in the order that the contract gives."""

from __future__ import annotations

import logging
import traceback
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.config import ClockMode
from zof_emulator.core.idempotency import Scope as KeyScope
from zof_emulator.core.instants import SECOND, format_http_date
from zof_emulator.core.refusal import Refused
from zof_emulator.core.timeline import MustWait, SliceEnded
from zof_emulator.handlers.messages import Encoded, Reply, Request, Waiting, carry_out
from zof_emulator.handlers.paging import find_start
from zof_emulator.http.auth import admit, authenticate, check_permissions
from zof_emulator.http.decode import (
    NO_BODY,
    ClientGone,
    check_headers,
    collect_body,
    find_link_base,
    parse_body,
    read_body,
)
from zof_emulator.http.hosted_world import Exchange
from zof_emulator.http.outcome import Outcome, encode_refusal
from zof_emulator.http.preferences import PREFER
from zof_emulator.http.ranges import select_range
from zof_emulator.http.routes import Routes
from zof_emulator.http.send import send_answer
from zof_emulator.http.waits import Waits, wait, wait_until_settled
from zof_emulator.journal.ring import Addition, Cut, Sending
from zof_emulator.spec.document import SpecError
from zof_emulator.spec.operation import compile_elsewhere, compile_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from zof_emulator.handlers.messages import Slices
    from zof_emulator.http.decode import BodyReader
    from zof_emulator.http.deliveries import Deliveries
    from zof_emulator.http.encode import Encoder
    from zof_emulator.http.faults import FaultInjector
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.http.outcome import Headers
    from zof_emulator.http.policy import Policy
    from zof_emulator.http.routes import Route
    from zof_emulator.spec.document import Document
    from zof_emulator.spec.operation import Operation

    Alter = Callable[[Callable[[], Outcome]], Outcome]
    """Makes the outcome of a request from the function that carries the request out."""

    Table = Mapping[str, Callable[[Any, Request], Reply | Waiting | Slices]]

_LOG: Final = logging.getLogger("zof_emulator")
_NO_CONTENT: Final = 204
_REPLAYED: Final = (b"idempotency-replayed", b"true")
_PREFLIGHT: Final = b"access-control-request-method"
_HINT: Final = ((b"x-zof-hint", b"the emulator lets the pages of an origin in when it is started with --cors ORIGIN"),)
"""The header of the answer to a preflight of a page that the emulator does not admit."""


class Arrival(NamedTuple):
    """A request for an operation, before it is judged."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    operation: Operation
    parameters: Mapping[str, str]
    """The parameters of the path, by name."""
    raw: bytes | BodyReader | None
    """The body, or what has read it; None if it was too large to be read."""


class OpenApiApp:
    """Answers the operations of a document below a path prefix."""

    def __init__(  # noqa: PLR0913  each is one value, bound once
        self,
        document: Document,
        table: Table,
        prefix: str,
        *,
        policy: Policy,
        deliveries: Deliveries,
        public_url: str = "",
        readers: Mapping[str, Callable[[], BodyReader]] = MappingProxyType({}),
    ) -> None:
        """Bind every operation of the document to its handler.

        Args:
            document: the OpenAPI document.
            table: a handler for each operation of the document, by operation ID.
            prefix: the path prefix of the operations.
            policy: the subject of the operations, and how their answers are numbered and journaled.
            deliveries: the service that sends webhooks; its lock is held while a request is answered.
            public_url: what links in answers begin with; if empty, the scheme and host that the request used.
            readers: makes what reads the body of an operation as it arrives, by operation ID.

        Raises:
            SpecError: an operation has no handler, or a handler no operation.
        """
        found = compile_operations(document)
        unmatched = {operation.id for operation in found} ^ table.keys()
        if unmatched:
            raise SpecError(f"#/paths: operations and handlers differ in {', '.join(sorted(unmatched))}")
        self.deliveries = deliveries
        self.faults: FaultInjector | None = None
        """The injector that answers requests that fail on purpose; None if these operations have no faults."""
        self._public_url = public_url
        self._readers = readers
        self._table = table
        self._routes = Routes(prefix, found)
        self._elsewhere = compile_elsewhere(document)
        self._policy = policy
        self._encoder_of: Callable[[HostedWorld], Encoder] = attrgetter(policy.encoder)
        self._date = (-1, b"")

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes], hosted: HostedWorld
    ) -> None:
        """Answer a request in a world; send nothing if the client closes the connection before it is complete."""
        route, parameters = self._routes.find(scope)
        operation = route.methods.get(scope["method"]) if route else None
        raw: bytes | BodyReader | None = b""
        if operation is not None and operation.body is not None:
            try:
                most = self._policy.limit_body_bytes(operation, hosted)
                if operation.id in self._readers:
                    raw = await self._read_body(operation, receive, headers, most)
                else:
                    raw = await collect_body(receive, headers, most)
            except ClientGone:
                return
        # No `await` from here to the answer: a request is atomic. The lock excludes the thread that sends webhooks.
        # Only a request that moves the clock waits: a control operation, or a poll on an auto clock. It waits for the
        # deliveries that are due on the way. A control operation also waits between its slices, so that other worlds
        # are served; other requests to its world wait until it has ended.
        arrival = None if operation is None else Arrival(scope, headers, operation, parameters, raw)
        if hosted.is_settling and self._policy.needs_settled_world(operation):
            await wait_until_settled(hosted)
        if arrival is not None and self.faults is not None:
            rules = hosted.world.faults.tables  # by operation, so that rules for others cost a request nothing
            is_concerned = PREFER in headers or (rules and (arrival.operation.id in rules or "" in rules))
            if (
                is_concerned
                and self.faults.may_answer(arrival, hosted)
                and await self.faults.answer(arrival, hosted, receive, send)
            ):
                return
        found = self._attempt(scope, route, arrival, hosted, None)
        while isinstance(found, Waits):
            await wait(found, hosted)
            found = self._attempt(scope, route, arrival, hosted, found)
        encoded, heads, sending = found
        content = encoded.content
        if isinstance(content, bytes):  # a further call would cost every request time
            await send({"type": "http.response.start", "status": encoded.status, "headers": heads})
            await send({"type": "http.response.body", "body": content})
        else:
            await send_answer(send, scope, encoded, heads, self.deliveries.lock, sending)

    async def carry_out(
        self, arrival: Arrival, hosted: HostedWorld, alter: Alter
    ) -> tuple[Encoded, Headers, Sending | None]:
        """Answer and record a request for an operation, with the outcome that `alter` makes.

        Returns:
            The answer, all of its headers, and what takes note of its pieces.
        """
        found = self._attempt(arrival.scope, None, arrival, hosted, None, alter)
        while isinstance(found, Waits):
            await wait(found, hosted)
            found = self._attempt(arrival.scope, None, arrival, hosted, found, alter)
        return found

    async def _read_body(
        self, operation: Operation, receive: Receive, headers: Mapping[bytes, bytes], most: int
    ) -> bytes | BodyReader | None:
        """The reader that has read the body of a request; no bytes without a body, None if the body is too large."""
        reader = self._readers[operation.id]()
        has_body = await read_body(reader, receive, headers, most)
        return None if has_body is None else reader if has_body else b""

    def _attempt(  # noqa: PLR0913, PLR0917  what an answer depends on
        self,
        scope: Scope,
        route: Route | None,
        arrival: Arrival | None,
        hosted: HostedWorld,
        waits: Waits | None,
        alter: Alter | None = None,
    ) -> tuple[Encoded, Headers, Sending | None] | Waits:
        """Answer a request at one instant, or say that it must wait; `waits` when it has waited."""
        with self.deliveries.lock:
            at = 0 if waits is None else waits.at
            try:
                at = at or hosted.settle().now
            except SliceEnded:
                if self._policy.needs_settled_world(None if arrival is None else arrival.operation):
                    return Waits(is_slice=True)
                at = hosted.world.now
            try:
                if arrival is None:
                    outcome = self._answer_without_operation(scope, route, hosted)
                elif alter is None:
                    outcome = self._answer(arrival, hosted, waits)
                else:
                    outcome = alter(partial(self._answer, arrival, hosted, waits))
            except Waits as more:
                more.at = at
                if not more.is_slice:
                    more.idle = self.deliveries.when_idle(hosted)
                return more
            if scope["method"] == "HEAD":
                outcome = outcome._replace(encoded=outcome.encoded._replace(content=b""))
            encoded = outcome.encoded
            heads = (
                encoded.headers + self._build_common_headers(hosted, self._policy.make_next_id(hosted)) + outcome.limits
            )
            sending = self._record(scope, arrival, outcome, hosted, at)
            if hosted.world.outbox.is_active:
                self.deliveries.notify(hosted)
            return encoded, heads, sending

    def _record(
        self, scope: Scope, arrival: Arrival | None, outcome: Outcome, hosted: HostedWorld, at: int
    ) -> Sending | None:
        """Report an exchange, and add it to the journal; what takes note of the pieces of a long answer, if any."""
        if hosted.listeners.on_exchange is not None:
            self._notify(scope, outcome, hosted, self._policy.find_newest_id(hosted))
        if hosted.journal is None:
            return None
        operation = None if arrival is None else arrival.operation
        request_id = self._policy.choose_journal_id(operation, hosted)
        if request_id is None:
            return None
        body: bytes | Cut = b""
        if arrival is not None:
            raw = arrival.raw
            body = raw if isinstance(raw, bytes) else _cut_unread_body(operation, arrival.headers)
        encoded, organization, reason, limits, fault, came = outcome
        now = hosted.world.now
        if operation is not None and operation.secured and hosted.world.clock.mode is ClockMode.AUTO:
            at = now  # a poll or a retry moves the clock before it is answered
        return hosted.journal.add(
            Addition(at, now, operation, organization, reason, scope, body, encoded, request_id, limits, fault, came)
        )

    def admits(self, scope: Scope, headers: Mapping[bytes, bytes], hosted: HostedWorld) -> bool:
        """Whether a request names an operation, and brings a valid key if the operation needs one."""
        route, _ = self._routes.find(scope)
        operation = route.methods.get(scope["method"]) if route else None
        if operation is None:
            return False
        try:
            if operation.secured:
                authenticate(headers.get(b"authorization"), hosted.authorizations, hosted.settle_slice().now)
        except Refused:
            return False
        return True

    async def refuse(self, scope: Scope, send: Send, refused: Refused, hosted: HostedWorld) -> None:
        """Answer a refused request that reaches no operation; `x-elsewhere` in the document gives its text."""
        with self.deliveries.lock:
            hosted.settle_slice()
            outcome = Outcome(encode_refusal(self._elsewhere, refused), reason=refused.reason)
            heads = outcome.encoded.headers + self._build_common_headers(hosted, self._policy.make_next_id(hosted))
            self._notify(scope, outcome, hosted, self._policy.find_newest_id(hosted))
        await send_answer(send, scope, outcome.encoded, heads, self.deliveries.lock)

    def answer_unreadable(self, hosted: HostedWorld, refused: Refused) -> tuple[bytes, Headers]:
        """The body and the headers of the answer to input that is no valid HTTP request, or none that is read."""
        with self.deliveries.lock:
            hosted.settle_slice()
            outcome = Outcome(encode_refusal(self._elsewhere, refused), reason=refused.reason)
            request_id = hosted.make_outside_id()
            heads = outcome.encoded.headers + self._build_common_headers(hosted, request_id)
            self._notify({"method": "", "path": ""}, outcome, hosted, request_id)
        return b"".join(outcome.encoded.pieces()), heads

    def _answer(self, arrival: Arrival, hosted: HostedWorld, waits: Waits | None) -> Outcome:
        """Answer a request for an operation; a refusal becomes an error answer."""
        operation, world = arrival.operation, hosted.world
        organization, reason = "", ""
        limits: Headers = ()
        try:
            if waits is not None and waits.resume is not None:
                organization, limits = waits.organization, waits.limits
                encoded = self._resume(operation, waits.resume, waits.base, hosted)
                return Outcome(_select_part(arrival, encoded), organization, reason, limits)
            if operation.secured:
                key = authenticate(arrival.headers.get(b"authorization"), hosted.authorizations, world.now)
                organization = key.organization
                limits, wait = admit(world, key)
                if wait is not None:
                    if hosted.listeners.on_rate_limited is not None:
                        hosted.listeners.on_rate_limited()
                    raise Refused("rate_limited", seconds=wait)  # noqa: TRY301  a refusal has one catcher
                check_permissions(key, operation)
            encoded = _select_part(arrival, self._perform(arrival, organization, hosted))
        except Refused as refused:
            reason = refused.reason
            encoded = self._encoder_of(hosted).evolve_error(encode_refusal(operation.reasons, refused))
        except Waits as more:
            more.organization, more.limits = organization, limits
            raise
        except MustWait as pause:  # by the rate limit of an auto clock
            raise Waits(is_slice=isinstance(pause, SliceEnded)) from None
        except Exception as bug:  # noqa: BLE001  a bug of the emulator is answered with 500
            reason = "internal_error"
            where = traceback.extract_tb(bug.__traceback__)[-1]
            _LOG.error("bug in %s: %r at %s:%s", operation.id, bug, where.filename, where.lineno)
            encoded = self._encoder_of(hosted).evolve_error(encode_refusal(operation.reasons, Refused(reason)))
        return Outcome(encoded, organization, reason, limits)

    def _perform(self, arrival: Arrival, organization: str, hosted: HostedWorld) -> Encoded:
        """Decode the request and carry it out, or replay the answer that is stored for its key.

        Raises:
            Refused: the request is refused.
        """
        operation, world = arrival.operation, hosted.world
        request, fingerprint = self._decode(arrival, organization, hosted)
        key = arrival.headers.get(b"idempotency-key") if operation.idempotent else None
        if key is None:
            return self._handle(operation, request, hosted)
        key_scope = KeyScope(organization, operation.method, arrival.scope["path"], key.decode("latin-1"))
        body_print = fingerprint()
        stored: Encoded | None = world.answers.recall(key_scope, body_print, world.now)
        if stored is not None:
            return Encoded(stored.status, (*stored.headers, _REPLAYED), stored.content)
        encoded = self._handle(operation, request, hosted).materialize()
        if world.answers.keep(key_scope, body_print, encoded, encoded.size + len(body_print), world.now):
            _LOG.warning("too many stored idempotent answers: the oldest was deleted before it expired")
        return encoded

    def _decode(self, arrival: Arrival, organization: str, hosted: HostedWorld) -> tuple[Request, Callable[[], bytes]]:
        """The decoded request, and the function that returns the fingerprint of its body.

        Raises:
            Refused: a header, the query or the body is invalid.
        """
        scope, headers, operation = arrival.scope, arrival.headers, arrival.operation
        check_headers(operation, headers)
        query: Mapping[str, Any] = operation.query.defaults
        start: int | None = None
        if scope["query_string"]:
            # A cursor is judged with the query, although only its list can decide whether it is valid.
            def read_cursor(known: Mapping[str, Any]) -> None:
                nonlocal start
                partial = Request(operation.id, organization, arrival.parameters, known, NO_BODY.fields, "")
                start = find_start(hosted.world, partial)

            query = operation.query.decode(scope["query_string"], read_cursor if self._policy.has_cursors else None)
        body = NO_BODY
        if operation.body is not None:
            if arrival.raw is None:
                raise Refused("body_too_large", limit=self._policy.limit_body_bytes(operation, hosted))
            body = parse_body(operation.body, arrival.raw, headers, hosted.find_labels(organization))
        base = find_link_base(self._public_url, scope, headers) + hosted.mount
        request = Request(operation.id, organization, arrival.parameters, query, body.fields, base, start)
        return request, body.fingerprint

    def _handle(self, operation: Operation, request: Request, hosted: HostedWorld) -> Encoded:
        try:
            reply = self._call(operation, request, hosted)
        except MustWait as pause:
            reply = self._wait(pause, operation, request, hosted)
        if isinstance(reply, Waiting):
            raise Waits(reply, request.base)
        return self._encoder_of(hosted).encode(reply, operation.answers[reply.status], request.base)

    def _call(self, operation: Operation, request: Request, hosted: HostedWorld) -> Reply | Waiting:
        """Call the handler of an operation, or carry out its first slice."""
        reply = self._table[operation.id](self._policy.choose_subject(hosted), request)
        return reply if isinstance(reply, Reply | Waiting) else carry_out(reply)

    def _wait(self, pause: MustWait, operation: Operation, request: Request, hosted: HostedWorld) -> Waiting:
        """Call the handler again after what a poll on an auto clock must wait for."""

        def call_again() -> Reply | Waiting:
            try:
                return self._call(operation, request, hosted)
            except MustWait as more:
                return self._wait(more, operation, request, hosted)

        return Waiting(call_again, is_slice=isinstance(pause, SliceEnded))

    def _resume(
        self, operation: Operation, resume: Callable[[], Reply | Waiting], base: str, hosted: HostedWorld
    ) -> Encoded:
        reply = resume()
        if isinstance(reply, Waiting):
            raise Waits(reply, base)
        return self._encoder_of(hosted).encode(reply, operation.answers[reply.status], base)

    def _answer_without_operation(self, scope: Scope, route: Route | None, hosted: HostedWorld) -> Outcome:
        """The answer to a request that reaches no operation."""
        encoder = self._encoder_of(hosted)
        if route is None:
            refused = self._refuse_path(scope["path"])
            return Outcome(encoder.evolve_error(encode_refusal(self._elsewhere, refused)), reason=refused.reason)
        if scope["method"] == "OPTIONS":
            hint = _HINT if _is_preflight(scope) else ()
            return Outcome(Encoded(_NO_CONTENT, ((b"allow", route.allow_header.encode()), *hint), b""))
        refused = Refused("method_not_allowed", method=scope["method"], allowed=route.allow_header)
        encoded = encoder.evolve_error(encode_refusal(self._elsewhere, refused))
        allow = (b"allow", route.allow_header.encode())
        return Outcome(encoded._replace(headers=(*encoded.headers, allow)), reason=refused.reason)

    def _refuse_path(self, path: str) -> Refused:
        """The refusal of a path that the document lacks, with the nearest one if the document has a text for that."""
        nearest = self._routes.find_nearest(path) if "misspelt_path" in self._elsewhere else ""
        return Refused("misspelt_path", nearest=nearest) if nearest else Refused("unknown_path")

    def _notify(self, scope: Scope, outcome: Outcome, hosted: HostedWorld, request_id: str) -> None:
        """Call `on_exchange`. The answer has its request ID by then."""
        if hosted.listeners.on_exchange is not None:
            hosted.listeners.on_exchange(
                Exchange(
                    hosted.world.now,
                    scope["method"],
                    hosted.mount + scope["path"],
                    outcome.encoded.status,
                    request_id,
                    outcome.organization,
                    outcome.reason,
                    "" if outcome.fault is None else outcome.fault.id,
                )
            )

    def _build_common_headers(self, hosted: HostedWorld, request_id: str) -> Headers:
        """The headers of every answer."""
        second = hosted.world.now // SECOND
        if self._date[0] != second:
            self._date = second, format_http_date(second).encode()
        return (b"x-request-id", request_id.encode()), (b"date", self._date[1])


def _is_preflight(scope: Scope) -> bool:
    """Whether a browser asks whether a page may send a request; `CrossOrigin` answers it if the page may."""
    return any(name == _PREFLIGHT for name, _ in scope["headers"])


def _select_part(arrival: Arrival, encoded: Encoded) -> Encoded:
    """The part of a file that the request asks for; any other answer as it is."""
    if not arrival.operation.has_ranges:
        return encoded
    return select_range(encoded, arrival.scope["method"], arrival.headers)


def _cut_unread_body(operation: Operation | None, headers: Mapping[bytes, bytes]) -> Cut:
    """The journal's entry for a body that was not kept: its declared length or its least length."""
    most = 0 if operation is None or operation.body is None else operation.body.most_bytes
    declared = headers.get(b"content-length", b"")
    return Cut(b"", int(declared[:18]) if declared.isdigit() else most + 1, "")
