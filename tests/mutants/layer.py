"""The layer: the correct emulator behind one planted defect, and the functions that define defects.

A defect is a function of a request (`Ask`) and of what lies beneath (`Inner`). It may change either way, ask more than
once, or remember; `make` gives a new one for each deployment, so that memories do not mix.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.exchange import Headers, Response
from zof_contracts.target.transport import AsgiTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, MutableMapping

    from zof_contracts.target.transport import App
    from zof_emulator.core.world import World

ADMIN: Final = "Bearer zof_test_admin"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as a deployment gets it."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes

    @property
    def operation(self) -> str:
        """The `operationId` of the request; empty if it has none."""
        found = load_contract().find_operation(self.method, self.path)
        return found.id if found else ""

    @property
    def id(self) -> str:
        """The value of `{id}` in the path."""
        return self.path.split("/")[3] if self.path.count("/") > 2 else ""

    @property
    def params(self) -> dict[str, str]:
        """The query."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON value
        """The body; None when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The body as an object; empty if it is not an object."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def key(self) -> str:
        """The Authorization header; empty when there is none."""
        return self.header("authorization")

    def header(self, name: str) -> str:
        """A header's value; empty if the header is missing."""
        return next((value for each, value in self.headers if each == name), "")

    def having(self, name: str, value: str) -> Ask:
        """The request with a header, in place of those of that name."""
        return replace(self, headers=(*self.lacking(name).headers, (name, value)))

    def lacking(self, name: str) -> Ask:
        """The request without a header."""
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0] != name))

    def querying(self, **changed: str | None) -> Ask:
        """The request with changed parameters; None removes one."""
        params: dict[str, str | None] = {**self.params, **changed}
        return replace(self, query=urlencode({name: value for name, value in params.items() if value is not None}))

    def saying(self, body: object) -> Ask:
        """The request with another JSON body."""
        return replace(self, body=json.dumps(body).encode()).having("content-type", "application/json")

    def to(self, path: str, query: str = "", method: str = "GET") -> Ask:
        """Another request by the same client."""
        return Ask(method, path, query, tuple(pair for pair in self.headers if pair[0] == "authorization"), b"")


Inner = Callable[[Ask], Response]
Defect = Callable[[Ask, Inner], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A deployment with one planted defect."""

    name: str
    rule: str
    """The rule of the catalogue that must find it."""
    make: Callable[[], Defect] | None = None
    """A new defect in front of the emulator."""
    world: Callable[[World], None] | None = None
    """A defect in its world."""
    compose: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    """A defect in what it sends to webhooks."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """A defect in its settings."""

    def over(self, app: App) -> App:
        """The emulator behind the defect."""
        return Layer(app, self.make()) if self.make else app


class Layer:
    """An ASGI application in front of another."""

    def __init__(self, app: App, defect: Defect) -> None:
        self.inner = AsgiTransport(app)
        self.defect = defect

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Answer a request with the defect applied."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        given = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
        headers = tuple(pair for pair in given if pair[0] not in {"host", "content-length"})
        path = scope["raw_path"].decode("latin-1")
        ask = Ask(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body)
        answer = self.defect(ask, self._ask) if path.startswith("/v1") else self._ask(ask)
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body})

    def _ask(self, ask: Ask) -> Response:
        target = f"{ask.path}?{ask.query}" if ask.query else ask.path
        return self.inner.carry(ask.method, target, ask.headers, ask.body)


# --- answers


def header(response: Response, name: str, value: str | None) -> Response:
    """The answer with another header; None takes it away."""
    rest = tuple(pair for pair in response.headers if pair[0] != name)
    return replace(response, headers=rest if value is None else (*rest, (name, value)))


def content(response: Response, body: bytes, media: str | None = None) -> Response:
    """The answer with another body."""
    answer = header(replace(response, body=body, _json=[]), "content-length", str(len(body)))
    return header(answer, "content-type", media) if media else answer


def says(response: Response, value: object) -> Response:
    """The answer with another JSON body."""
    return content(response, json.dumps(value).encode(), "application/json")


def status(response: Response, number: int) -> Response:
    """The answer with another status."""
    return replace(response, status=number)


def error(response: Response, number: int, code: str, param: str | None = None) -> Response:
    """An error in place of the answer, with its headers."""
    said = {"code": code, "message": "That cannot be."}
    return says(status(response, number), {"error": {**said, **({"param": param} if param else {})}})


# --- ways to plant


Edit = Callable[[Any], Any]


def always(defect: Defect) -> Callable[[], Defect]:
    """A defect that remembers nothing."""
    return lambda: defect


def answers(change: Callable[[Response], Response], to: str = "", number: int | None = None) -> Callable[[], Defect]:
    """Change the answers of these operations (default: all) with this status (default: any)."""
    names = to.split()

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        meant = (not names or ask.operation in names) and number in {None, answer.status}
        return change(answer) if meant else answer

    return always(defect)


def asks(change: Callable[[Ask], Ask], to: str = "") -> Callable[[], Defect]:
    """Change requests before they are processed."""
    names = to.split()
    return always(lambda ask, inner: inner(change(ask) if not names or ask.operation in names else ask))


def bodies(edit: Edit, to: str, number: int | None = None) -> Callable[[], Defect]:
    """Edit the JSON of answers in place, or replace it by the value that `edit` returns."""

    def change(answer: Response) -> Response:
        if answer.json is None or not (answer.ok or number is not None):
            return answer
        value = json.loads(answer.body)
        changed = edit(value)
        return says(answer, value if changed is None else changed)

    return answers(change, to, number)


def errors(number: int, edit: Edit, to: str = "") -> Callable[[], Defect]:
    """The error object of every answer with this status is edited in place."""
    return bodies(lambda value: edit(value["error"]) and None, to, number)


def objects(edit: Edit, to: str) -> Callable[[], Defect]:
    """Each object in answers, alone or in a list, is edited in place."""

    def each(value: Any) -> None:  # noqa: ANN401  a JSON value
        for one in value.get("data", [value]):
            edit(one)

    return bodies(each, to)


RUN: Final = "startRun getRun cancelRun"
RUNS: Final = f"{RUN} listRuns"
RESULTS: Final = "listResults getResult exportResults"
ARTIFACTS: Final = "listRunArtifacts listResultArtifacts"
LISTS: Final = f"listRuns listResults listProjects getRunLogs {ARTIFACTS}"
ENDED: Final = frozenset({"passed", "failed", "error", "canceled"})


def without(name: str) -> Edit:
    """Removes a field."""
    return lambda one: one.pop(name, None) and None


def rename_field(before: str, after: str) -> Edit:
    """Gives a field another name."""
    return lambda one: one.update({after: one.pop(before)}) if before in one else None


def setting(**fields: Any) -> Edit:  # noqa: ANN401  JSON values
    """Sets fields."""
    return lambda one: one.update(fields)


def changing(name: str, change: Callable[[Any], Any]) -> Edit:
    """Changes the value of a field that exists."""
    return lambda one: one.update({name: change(one[name])}) if one.get(name) is not None else None
