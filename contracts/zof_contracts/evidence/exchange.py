"""Requests and their answers as frozen values. `zof_contracts.target.transport` carries them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from zof_contracts.evidence.strict_json import parse_json

Headers = tuple[tuple[str, str], ...]

NO_STATUS: Final = 0
"""The status of a request that was not answered."""
TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request. It holds the name of a key, never the key."""

    method: str
    path: str
    """With `/v1`, as it goes over the wire."""
    query: str = ""
    headers: Headers = ()
    """Without Authorization, which the client adds."""
    body: bytes = b""
    key: str = "main"
    """The name of the key in the target (`main`, `readonly`, …); empty for none."""
    authorization: str = "Bearer {key}"
    """The header as it is sent, with the key in place of `{key}`."""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def is_safe(self) -> bool:
        """Whether its method changes nothing."""
        return self.method in _SAFE_METHODS

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again when its answer is lost: it is safe, or has an idempotency key."""
        return self.is_safe or self.header("idempotency-key") is not None

    def header(self, name: str) -> str | None:
        """A header's value, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    """`NO_STATUS` for a request that was not answered."""
    headers: Headers
    """Names are in lower case."""
    body: bytes
    """Without its content coding."""
    flaw: str = ""
    """Why there is no answer, or not the whole body; empty for a whole answer."""
    _json: list[tuple[Any, str]] = field(default_factory=list, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        """A header's value, or None; `name` is in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300  # noqa: PLR2004  what HTTP calls a success

    @property
    def is_server_error(self) -> bool:
        """Whether the status is a 5xx."""
        return self.status >= _SERVER_ERROR

    @property
    def is_from_gateway(self) -> bool:
        """Whether it seems to come from a gateway in front of the API: a 5xx or 429 with neither JSON nor a quota."""
        is_status_of_gateway = self.is_server_error or self.status == TOO_MANY_REQUESTS
        return is_status_of_gateway and self.header("x-ratelimit-limit") is None and self.json is None

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON value
        """The body as JSON; None if it is not JSON."""
        return self._parse()[0]

    @property
    def json_flaw(self) -> str:
        """Why the body is not JSON; empty if it is."""
        return self._parse()[1]

    def _parse(self) -> tuple[Any, str]:
        """The body's value and what is wrong with it; parsed once."""
        if not self._json:
            try:
                self._json.append((parse_json(self.body), ""))
            except ValueError as error:
                self._json.append((None, str(error)))
        return self._json[0]

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def error(self) -> dict[str, Any]:
        """The error object; empty when there is none."""
        error = self.fields.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def items(self) -> list[dict[str, Any]]:
        """The objects in `data`; empty when there is none."""
        data = self.fields.get("data")
        return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer."""

    number: int
    """Its index in the journal, counted from 1."""
    request: Request
    response: Response
    operation: str
    """The `operationId` of the request; empty if the document has none for it."""
    at: float
    """Unix seconds at which the answer had arrived."""
    took: float
    """Seconds from the request to the whole answer."""
    waited: float = 0.0
    """Seconds that the client had let pass before it, in all, by waiting or by moving the target's clock."""
