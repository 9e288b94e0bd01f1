"""The encoder of a world that evolves: each answer obeys the document, and then gets fields and values of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from zof_emulator.core.evolution import PROVISIONING, RECORDING, Evolution
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.runs import Run
from zof_emulator.handlers.messages import Encoded, Item, Page, Reply
from zof_emulator.handlers.views import ArtifactAt
from zof_emulator.http.encode import Encoder, encode_json

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Export, View
    from zof_emulator.spec.operation import Answer

_LENGTH: Final = b"content-length"
_TRACE: Final = "trace"
_END: Final = b"]}"


class _Provisioned(NamedTuple):
    """A run that is provisioned. It is another subject than the run, because its encoding is another one."""

    run: Run


class EvolvingEncoder(Encoder):
    """Encodes the replies of one world as the API of tomorrow might."""

    __slots__ = ("_evolution",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._evolution = Evolution(world.seed)

    def encode(self, reply: Reply, answer: Answer, base: str) -> Encoded:
        """The reply in bytes; `base` is the URL at which links begin."""
        body = reply.body
        if isinstance(body, Item):
            body = body._replace(subject=self._find_subject(body.subject))
        elif isinstance(body, Page):
            body = body._replace(subjects=[self._find_subject(one) for one in body.subjects])
        return super().encode(reply._replace(body=body), answer, base)

    def evolve_error(self, encoded: Encoded) -> Encoded:
        """An error with new fields."""
        content = encode_json(self._evolution.evolve(orjson.loads(b"".join(encoded.pieces()))))
        headers = tuple((name, b"%d" % len(content) if name == _LENGTH else value) for name, value in encoded.headers)
        return Encoded(encoded.status, headers, content)

    def _find_subject(self, subject: Hashable) -> Hashable:
        if isinstance(subject, Run) and self._evolution.is_provisioning(subject, self.world.now):
            return _Provisioned(subject)
        return subject

    def _write(self, value: dict[str, Any], holds: Callable[[Any], bool]) -> bytes:
        super()._write(value, holds)  # what is sent without the evolution obeys the document
        return encode_json(self._evolution.evolve(value))

    def _render(self, view: View, base: str, subject: Hashable, holds: Callable[[Any], bool]) -> bytes:
        changes: dict[str, str] = {}
        if isinstance(subject, _Provisioned):  # it has begun, but shows nothing of that yet
            subject = subject.run._replace(status=Status.QUEUED, started_at=None)
            changes = {"status": PROVISIONING}
        value = view(self.world, subject, base)
        super()._write(value, holds)
        if isinstance(subject, ArtifactAt) and value["type"] == _TRACE:
            is_recording = self._evolution.is_recording(subject.run.number, subject.slot)
            changes = {"type": RECORDING} if is_recording else {}
        return encode_json(self._evolution.evolve(value | changes))

    def _encode_export(self, export: Export, answer: Answer, base: str) -> Callable[[], Iterator[bytes]]:
        pieces = super()._encode_export(export, answer, base)
        fields = encode_json(self._evolution.choose_fields({"data": []}))[1:]

        def with_fields() -> Iterator[bytes]:
            last = b""
            for piece in pieces():
                if last:
                    yield last
                last = piece
            yield last.removesuffix(_END) + b"]," + fields

        return with_fields
