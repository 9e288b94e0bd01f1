"""The JSON Schema of a world in a snapshot; it accepts exactly what `zof_emulator.core.snapshot` writes."""

from __future__ import annotations

from typing import Any, Final

from zof_emulator.core import config
from zof_emulator.core.instants import LAST
from zof_emulator.core.lifecycle import Status
from zof_emulator.spec.schema import compile_schema

_Schema = dict[str, Any]


def _row(*places: _Schema) -> _Schema:
    return {"type": "array", "prefixItems": list(places), "minItems": len(places), "maxItems": len(places)}


def _rows(of: _Schema) -> _Schema:
    return {"type": "array", "items": of}


def _table(of: _Schema) -> _Schema:
    return {"type": "object", "additionalProperties": of}


def _object_of(**parts: _Schema) -> _Schema:
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


_TEXT: Final[_Schema] = {"type": "string"}
_COUNT: Final[_Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[_Schema] = {"type": "integer", "minimum": -1}
_INSTANT: Final[_Schema] = {"type": "integer", "minimum": 0, "maximum": LAST}
_END: Final[_Schema] = {"type": "integer", "minimum": 0, "maximum": 1 << 60}
_BOOLEAN: Final[_Schema] = {"type": "boolean"}
_STATUS: Final[_Schema] = {"enum": [one.value for one in Status]}
_MAYBE: Final[_Schema] = {"anyOf": [_INSTANT, {"type": "null"}]}
_SUITE: Final[_Schema] = {"type": ["string", "null"]}
_RUN: Final = _row(
    _COUNT,
    _TEXT,
    _TEXT,
    _TEXT,
    _SUITE,
    _rows(_TEXT) | {"minItems": 1},
    _INSTANT,
    _STATUS,
    _MAYBE,
    _MAYBE,
    _rows(_STATUS),
    _rows(_INSTANT),
    _NUMBER,
)
_ANSWER: Final = _row({"type": "integer", "minimum": 100, "maximum": 599}, _rows(_row(_TEXT, _TEXT)), _TEXT, _BOOLEAN)
_MAYBE_COUNT: Final[_Schema] = {"anyOf": [_COUNT, {"type": "null"}]}
_MAYBE_TEXT: Final[_Schema] = {"type": ["string", "null"]}
_FACTS: Final = _row(_TEXT, _MAYBE_TEXT, _MAYBE_TEXT, _MAYBE_TEXT, _MAYBE_TEXT, _MAYBE_COUNT)
_RESULT: Final = _row(_MAYBE_COUNT, _TEXT, _rows(_row(_TEXT, _TEXT)), _TEXT, _BOOLEAN, _BOOLEAN)
_DELIVERY: Final = _row(
    _COUNT,
    _COUNT,
    _row(_COUNT, _TEXT, _TEXT, _INSTANT, _FACTS),
    _TEXT,
    _END,
    _TEXT,
    _rows(_row(_INSTANT, _INSTANT, _RESULT)),
    _MAYBE,
    _MAYBE_TEXT,
    _BOOLEAN,
    _TEXT,
)
_WORLD: Final = _object_of(
    config=config.schema(),
    clock_offset_ms=_COUNT,
    now=_INSTANT,
    answered=_COUNT,
    retention=_row(_COUNT, _COUNT, _COUNT),
    organizations=_table(_rows(_TEXT)),
    samples=_rows(_TEXT),
    catalogue=_object_of(
        owners=_table(_TEXT),
        given=_rows(_TEXT),
        suites=_table(_rows(_TEXT)),
        projects=_table(_rows(_row(_TEXT, _TEXT, _INSTANT))),
    ),
    started=_COUNT,
    forgotten=_COUNT,
    runs=_rows(_RUN),
    tenancies=_table(_row(_COUNT, _rows(_COUNT), _COUNT)),
    agenda=_object_of(sequence=_COUNT, due=_rows(_row(_END, _COUNT, _TEXT, _NUMBER, _TEXT))),
    flaky=_rows(_row(_TEXT, _TEXT, _COUNT)),
    seen=_rows(_row(_COUNT, _STATUS)),
    outbox=_object_of(
        samples=_rows(_TEXT),
        endpoints=_rows(_row(_COUNT, _TEXT, _TEXT, _rows(_TEXT), _TEXT, _INSTANT)),
        deliveries=_rows(_DELIVERY),
        queues=_rows(_row(_COUNT, _rows(_COUNT))),
        finished=_rows(_COUNT),
        rules=_rows(_row(_COUNT, _TEXT, _MAYBE_COUNT, _SUITE, _MAYBE_COUNT, _COUNT, _TEXT)),
        counts=_row(_COUNT, _COUNT, _COUNT, _COUNT, _COUNT, _COUNT),
    ),
    limits=_table(_row(_END, _COUNT, _BOOLEAN)),
    answers=_rows(_row(_TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _ANSWER, _COUNT, _END)),
)
is_world: Final = compile_schema(_WORLD)
"""Whether a JSON value has the shape of a world."""
