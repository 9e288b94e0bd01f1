"""The corridor: a request is decoded once, judged once and answered once, in the order that the contract gives."""

from __future__ import annotations

import asyncio
import logging
import traceback
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.idempotency import Scope as KeyScope
from zof_emulator.core.instants import SECOND, http_date
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.messages import Encoded, Request, Waiting
from zof_emulator.handlers.paging import page_request
from zof_emulator.http import encode
from zof_emulator.http.auth import admit, key_of, permit
from zof_emulator.http.decode import ClientGone, base_of, body_of, check_headers, fingerprint, json_of
from zof_emulator.http.deliveries import Deliveries, wait_for
from zof_emulator.http.hosted_world import Exchange
from zof_emulator.http.routes import Routes
from zof_emulator.journal.ring import Cut
from zof_emulator.spec.document import SpecError
from zof_emulator.spec.operation import elsewhere, operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from zof_emulator.handlers.messages import Reply
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.http.routes import Route
    from zof_emulator.spec.document import Document
    from zof_emulator.spec.operation import Operation, Refusal

    Headers = tuple[tuple[bytes, bytes], ...]
    Table = Mapping[str, Callable[[Any, Request], Reply | Waiting]]

_LOG: Final = logging.getLogger("zof_emulator")
_PIECE: Final = 1 << 16
_JSON: Final = (b"content-type", b"application/json")
_REPLAYED: Final = (b"idempotency-replayed", b"true")
_NOTHING: Final[Mapping[str, Any]] = {}
MOVES: Final = frozenset(
    {"advanceClock", "advanceRun", "disturbDelivery", "createDeliveryRule", "clearDeliveryRules", "sendEvent"}
)
"""The emulator's own operations that are part of a world's story: without them the journal could not be replayed."""


class _Waits(Exception):  # noqa: N818  nothing went wrong
    """An operation cannot be answered before webhook deliveries have been attempted; then it goes on with `resume`."""

    def __init__(self, resume: Callable[[], Reply | Waiting], base: str) -> None:
        super().__init__()
        self.resume = resume
        self.base = base
        """What links in its answer begin with."""
        self.at = 0
        """When the request came, by the world's clock in ms."""
        self.idle: Future[None] = Future()
        """Done when the deliveries have been attempted."""


class _Asked(NamedTuple):
    """A request whose body was read."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    route: Route | None
    name: str
    raw: bytes | None


class OpenApiApp:
    """Answers the operations of one document, below a prefix, as an ASGI application.

    A document with security is the API itself, and its operations act on the world; one without is the emulator's own,
    and its operations act on the hosted world.
    """

    def __init__(
        self, document: Document, table: Table, prefix: str, deliveries: Deliveries, public_url: str = ""
    ) -> None:
        """Links in answers begin with `public_url`, or with what the client called us.

        Every operation of the document must be in the table, and the other way round; `SpecError` else.
        """
        found = operations(document)
        amiss = {operation.id for operation in found} ^ table.keys()
        if amiss:
            raise SpecError(f"#/paths: operations and handlers differ in {', '.join(sorted(amiss))}")
        self.deliveries = deliveries
        self._public_url = public_url
        self._table = table
        self._routes = Routes(prefix, found)
        self._elsewhere = elsewhere(document)
        self._of_api = "security" in document.root
        self._date = (-1, b"")

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes], hosted: HostedWorld
    ) -> None:
        """Answer a request in a world, unless the client goes away before it is complete."""
        route, name = self._routes.find(scope)
        operation = route.methods.get(scope["method"]) if route else None
        raw: bytes | None = b""
        if operation is not None and operation.body is not None:
            try:
                raw = await body_of(receive, headers, operation.body.most_bytes)
            except ClientGone:
                return
        # From here to the answer nothing waits: a request happens at one instant. The lock keeps the thread out that
        # sends webhooks. Only a control operation that moves the clock waits, for what is to be sent on the way.
        asked = _Asked(scope, headers, route, name, raw)
        found = self._attempt(asked, hosted, None)
        while isinstance(found, _Waits):
            await wait_for(found.idle)
            found = self._attempt(asked, hosted, found)
        heads, encoded = found
        content = encoded.content
        if isinstance(content, bytes):  # a call that waits is paid for by each request
            await send({"type": "http.response.start", "status": encoded.status, "headers": heads})
            await send({"type": "http.response.body", "body": content})
        else:
            await _send(send, scope, encoded, heads, self.deliveries.lock)

    def _attempt(self, asked: _Asked, hosted: HostedWorld, waits: _Waits | None) -> tuple[Headers, Encoded] | _Waits:
        """Answer a request at one instant, or say that it waits; `waits` when it has waited."""
        with self.deliveries.lock:
            at = hosted.settle().now if waits is None else waits.at
            try:
                found = self._judge(asked, hosted, at, waits)
            except _Waits as more:
                more.at, more.idle = at, self.deliveries.when_idle(hosted)
                return more
            self.deliveries.notify(hosted)
            return found

    def _judge(self, asked: _Asked, hosted: HostedWorld, at: int, waits: _Waits | None) -> tuple[Headers, Encoded]:
        """Answer a request, and note the exchange; its headers and its answer."""
        scope, headers, route, name, raw = asked
        operation = route.methods.get(scope["method"]) if route else None
        if operation is not None:
            encoded, organization, reason, limits = self._answer(scope, headers, operation, name, raw, hosted, waits)
        else:
            encoded, organization, limits = self._lost(scope, route), "", ()
            reason = "unknown_path" if route is None else "method_not_allowed"
        heads = encoded.headers + self._last_headers(hosted) + limits
        if hosted.listeners.on_exchange is not None:
            self._tell(scope, encoded.status, organization, reason, hosted)
        if hosted.journal is not None and (self._of_api or (operation is not None and operation.id in MOVES)):
            body = _unread(operation, headers) if raw is None else raw
            outside = "" if self._of_api else hosted.newest_id(of_world=False)
            now = hosted.world.now
            hosted.journal.add(at, now, operation, organization, reason, scope, body, encoded, outside, limits)
        return heads, encoded

    async def refuse(self, scope: Scope, send: Send, refused: Refused, hosted: HostedWorld) -> None:
        """Answer with a reason that the spec words elsewhere than under an operation."""
        with self.deliveries.lock:
            hosted.settle()
            encoded = _refused(self._elsewhere, refused)
            heads = encoded.headers + self._last_headers(hosted)
            self._tell(scope, encoded.status, "", refused.reason, hosted)
        await _send(send, scope, encoded, heads, self.deliveries.lock)

    def unread(self, hosted: HostedWorld) -> tuple[bytes, Headers]:
        """The answer to what could not be read as a request: its body and its headers."""
        with self.deliveries.lock:
            hosted.settle()
            encoded = _refused(self._elsewhere, Refused("not_http"))
            heads = encoded.headers + self._last_headers(hosted, of_world=False)
            self._tell({"method": "", "path": ""}, encoded.status, "", "not_http", hosted, of_world=False)
        return b"".join(encoded.pieces()), heads

    def _answer(  # noqa: PLR0913, PLR0917  a request, as far as it was read
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        operation: Operation,
        name: str,
        raw: bytes | None,
        hosted: HostedWorld,
        waits: _Waits | None,
    ) -> tuple[Encoded, str, str, Headers]:
        """The answer to a request of an operation, whose it was, why it was refused, and how its limit stands."""
        world = hosted.world
        organization, reason = "", ""
        limits: Headers = ()
        try:
            if waits is not None:
                return self._encode(operation, waits.resume(), waits.base, hosted), "", "", ()
            if operation.secured:
                key = key_of(headers.get(b"authorization"), hosted.authorizations, world.now)
                organization = key.organization
                limits, wait = admit(world, key)
                if wait is not None:
                    if hosted.listeners.on_rate_limited is not None:
                        hosted.listeners.on_rate_limited()
                    raise Refused("rate_limited", seconds=wait)  # noqa: TRY301  the one way out of the corridor
                permit(key, operation)
            encoded = self._perform(scope, headers, operation, name, raw, organization, hosted)
        except Refused as refused:
            reason = refused.reason
            encoded = _refused(operation.reasons, refused)
        except _Waits:
            raise
        except Exception as bug:  # noqa: BLE001  whatever it is, it is ours, and the client is told so
            reason = "internal_error"
            where = traceback.extract_tb(bug.__traceback__)[-1]
            _LOG.error("bug in %s: %r at %s:%s", operation.id, bug, where.filename, where.lineno)
            encoded = _refused(operation.reasons, Refused(reason))
        return encoded, organization, reason, limits

    def _perform(  # noqa: PLR0913, PLR0917  what has been judged so far
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        operation: Operation,
        name: str,
        raw: bytes | None,
        organization: str,
        hosted: HostedWorld,
    ) -> Encoded:
        """Judge headers, query and body, replay what is to be replayed, and do what is asked. Raises `Refused`."""
        world = hosted.world
        check_headers(operation, headers)
        query: Mapping[str, Any] = operation.query.defaults
        if scope["query_string"]:
            # A cursor is judged with the query, though only the list that it came from knows whether it is good.
            def look(known: Mapping[str, Any]) -> None:
                page_request(world, Request(operation.id, organization, name, known, _NOTHING, ""))

            query = operation.query.decoded(scope["query_string"], look if self._of_api else None)
        body = _NOTHING
        if operation.body is not None:
            body = json_of(operation.body, raw, headers, hosted.labels(organization))
        base = (self._public_url or base_of(scope, headers)) + hosted.mount
        call = Request(operation.id, organization, name, query, body, base)
        key = headers.get(b"idempotency-key") if operation.idempotent else None
        if key is None:
            return self._do(operation, call, hosted)
        mark = KeyScope(organization, operation.method, scope["path"], key.decode("latin-1"))
        print_of_body = fingerprint(raw if operation.body is not None else None)
        kept: Encoded | None = world.answers.recall(mark, print_of_body, world.now)
        if kept is not None:
            return Encoded(kept.status, (*kept.headers, _REPLAYED), kept.content)
        encoded = self._do(operation, call, hosted).whole()
        if world.answers.keep(mark, print_of_body, encoded, encoded.size, world.now):
            _LOG.warning("too many idempotent answers to keep: the oldest was forgotten before its time")
        return encoded

    def _do(self, operation: Operation, call: Request, hosted: HostedWorld) -> Encoded:
        reply = self._table[operation.id](hosted.world if self._of_api else hosted, call)
        return self._encode(operation, reply, call.base, hosted)

    @staticmethod
    def _encode(operation: Operation, reply: Reply | Waiting, base: str, hosted: HostedWorld) -> Encoded:
        if isinstance(reply, Waiting):
            raise _Waits(reply.resume, base)
        return hosted.encoder.encoded(reply, operation.answers[reply.status], base)

    def _lost(self, scope: Scope, route: Route | None) -> Encoded:
        """The answer to a request that reaches no operation."""
        if route is None:
            return _refused(self._elsewhere, Refused("unknown_path"))
        refused = Refused("method_not_allowed", method=scope["method"], allowed=route.allowed)
        encoded = _refused(self._elsewhere, refused)
        return encoded._replace(headers=(*encoded.headers, (b"allow", route.allowed.encode())))

    def _tell(  # noqa: PLR0913  what an exchange is
        self, scope: Scope, status: int, organization: str, reason: str, hosted: HostedWorld, *, of_world: bool = True
    ) -> None:
        """Tell of an exchange, after its answer was given an ID."""
        if hosted.listeners.on_exchange is not None:
            request_id = hosted.newest_id(of_world=of_world and self._of_api)
            now, path = hosted.world.now, hosted.mount + scope["path"]
            hosted.listeners.on_exchange(Exchange(now, scope["method"], path, status, request_id, organization, reason))

    def _last_headers(self, hosted: HostedWorld, *, of_world: bool = True) -> Headers:
        """The headers that every answer has; `of_world` is false where no world was asked."""
        request_id = hosted.request_id() if of_world and self._of_api else hosted.outside_id()
        second = hosted.world.now // SECOND
        if self._date[0] != second:
            self._date = second, http_date(second).encode()
        return (b"x-request-id", request_id.encode()), (b"date", self._date[1])


def _unread(operation: Operation | None, headers: Mapping[bytes, bytes]) -> Cut:
    """A body that was too large to be read: nothing of it is known but how long it said to be, or was at least."""
    most = 0 if operation is None or operation.body is None else operation.body.most_bytes
    declared = headers.get(b"content-length", b"")
    return Cut(b"", int(declared[:18]) if declared.isdigit() else most + 1, "")


def _refused(reasons: Mapping[str, Refusal], refused: Refused) -> Encoded:
    """The answer to a refused request; `KeyError` when the spec does not word the reason, which a test rules out."""
    refusal = reasons[refused.reason]
    content = encode.json_of(refusal.error(refused))
    headers = [_JSON, (b"content-length", b"%d" % len(content))]
    if refusal.code == "unauthorized":
        headers.append((b"www-authenticate", b"Bearer"))
    if "seconds" in refused.words:
        headers.append((b"retry-after", str(refused.words["seconds"]).encode()))
    return Encoded(refusal.status, tuple(headers), content)


async def _send(
    send: Send, scope: Scope, encoded: Encoded, headers: Headers, lock: AbstractContextManager[object]
) -> None:
    content = encoded.content
    if not isinstance(content, bytes) and scope.get("http_version") == "1.0":
        with lock:
            content = b"".join(content())  # such a client cannot read pieces (RFC 9112, 6.1)
        if not any(name == b"content-length" for name, _ in headers):
            headers = (*headers, (b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": encoded.status, "headers": headers})
    if isinstance(content, bytes):
        await send({"type": "http.response.body", "body": content})
        return
    pieces = _gathered(content())
    while True:
        with lock:  # a piece may be made of the world as it stands
            piece = next(pieces, None)
        if piece is None:
            break
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)  # others get their turn while a long answer is made
    await send({"type": "http.response.body", "body": b""})


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, put together to such as are worth sending."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
