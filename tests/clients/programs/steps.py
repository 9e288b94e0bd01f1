"""The steps of the story, for the programs in Python: each is tried, and a line on stdout says how it went."""

from __future__ import annotations

import hashlib
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KINDS = {"image/png": "png", "application/zip": "zip", "application/json": "har", "application/xml": "junit"}
CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    429: "rate_limit_exceeded",
}
RECEIVER = "http://127.0.0.1:9/webhooks"
"""Where the webhook of the story is; nothing listens there, since the story is about the client."""
SECRET_LENGTH = 16
"""The fewest characters of a secret."""


class Case(StrEnum):
    """The test cases that the story runs."""

    LOGIN = "tc_login_001"
    PAYMENT = "tc_payment_fail_002"


class Story:
    """Where the emulator is, and what the steps have found so far."""

    def __init__(self) -> None:
        self.base = os.environ["ZOF_BASE_URL"]
        self.altered = os.environ["ZOF_ALTERED_URL"]
        """A server that answers with values that the document does not list."""
        self.key = "zof_test_admin"
        self.other_key = "zof_test_ci"
        self.run = ""

    def step(self, name: str) -> Callable[[Callable[[], None]], None]:
        """Try a step at once."""

        def attempt(action: Callable[[], None]) -> None:
            try:
                action()
            except Exception as error:  # noqa: BLE001  whatever it is, the next step is tried
                print(f"no {name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            else:
                print(f"ok {name}")

        return attempt

    def each_artifact(
        self, listed: Callable[[], Iterable[tuple[str, str, str]]]
    ) -> Callable[[Callable[[str], bytes]], None]:
        """Download one artifact of each kind, and compare its digest; `listed` gives media type, ID and digest."""

        def attempt(download: Callable[[str], bytes]) -> None:
            try:
                found = {kind: (name, digest) for kind, name, digest in listed()}
            except Exception as error:  # noqa: BLE001  the downloads say so
                failure = error
                found = {}
            for media, kind in KINDS.items():

                @self.step(kind)
                def _check(media: str = media) -> None:
                    if media not in found:
                        raise failure
                    name, digest = found[media]
                    content = download(name)
                    assert hashlib.sha256(content).hexdigest() == digest, f"{len(content)} bytes that differ"

        return attempt

    def errors(
        self,
        kind: type[Exception] | None,
        code_of: Callable[[Any], tuple[int, str]],
        causes: Mapping[int, Callable[[], object]],
    ) -> None:
        """Provoke each error; `code_of` reads status and code from what is raised, or returned when `kind` is None."""
        for status, provoke in causes.items():

            @self.step(f"error {status}")
            def _check(status: int = status, provoke: Callable[[], object] = provoke) -> None:
                if kind is None:
                    assert code_of(provoke()) == (status, CODES[status])
                    return
                found = None
                try:
                    provoke()
                except kind as error:
                    found = code_of(error)
                assert found == (status, CODES[status]), "no error" if found is None else str(found)
