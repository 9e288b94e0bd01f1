"""The JSON Schema of a world in a snapshot; it accepts exactly what `zof_emulator.core.snapshot` writes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core import config
from zof_emulator.core.deliveries import Action, DeliveryKind, DeliveryStatus, Tampering
from zof_emulator.core.endpoints import SUBSCRIBABLE, EventType
from zof_emulator.core.instants import LAST
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.scenario_schema import LABEL, MOST_CASES
from zof_emulator.core.tenants import PERMITS, Role
from zof_emulator.spec.schema import compile_finder, compile_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from enum import StrEnum

    from zof_emulator.spec.schema import Misfit

_Schema = dict[str, Any]


def _row(*places: _Schema) -> _Schema:
    return {"type": "array", "prefixItems": list(places), "minItems": len(places), "maxItems": len(places)}


def _rows(of: _Schema) -> _Schema:
    return {"type": "array", "items": of}


def _table(of: _Schema, names: _Schema | None = None) -> _Schema:
    return {"type": "object", "additionalProperties": of, "propertyNames": names or _TEXT}


def _pattern(pattern: str) -> _Schema:
    return {"type": "string", "pattern": f"^{pattern}$"}


def _id(*prefixes: str) -> _Schema:
    return _pattern(f"(?:{'|'.join(prefixes)})_[A-Za-z0-9_-]{{1,64}}")


def _choice(choices: Iterable[StrEnum]) -> _Schema:
    return {"enum": [one.value for one in choices]}


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**parts: _Schema) -> _Schema:
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


_TEXT: Final[_Schema] = {"type": "string"}
_COUNT: Final[_Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[_Schema] = {"type": "integer", "minimum": -1}
_INSTANT: Final[_Schema] = {"type": "integer", "minimum": 0, "maximum": LAST}
_END: Final[_Schema] = {"type": "integer", "minimum": 0, "maximum": 1 << 60}
_BOOLEAN: Final[_Schema] = {"type": "boolean"}
_STATUS: Final = _choice(Status)
_ORGANIZATION: Final = _id("org")
_PROJECT: Final = _id("proj")
_CASE: Final = _id("tc")
_SUITE: Final = _id("suite")
_LABEL: Final = _pattern(LABEL)
_WORD: Final = _pattern("[A-Za-z0-9_-]{1,55}")
"""The word of a sample, which IDs of its results and artifacts hold too."""
_PERMISSION: Final[_Schema] = {"enum": sorted(PERMITS[Role.ADMIN])}
_CASES: Final = _rows(_CASE) | {"minItems": 1, "maxItems": MOST_CASES}
_RUN: Final = _row(
    _COUNT,
    _ORGANIZATION,
    _PROJECT,
    _LABEL,
    _or_null(_SUITE),
    _CASES,
    _INSTANT,
    _STATUS,
    _or_null(_INSTANT),
    _or_null(_INSTANT),
    _rows(_STATUS),
    _rows(_INSTANT),
    _NUMBER,
    _COUNT,
    _rows(_NUMBER),
)
_HEADER: Final = _row(_pattern("content-(?:type|length|disposition)|location"), _pattern("[ -~]*"))
_SUCCESS: Final[_Schema] = {"enum": [200, 201, 202]}
_ANSWER: Final = _row(_SUCCESS, _rows(_HEADER), _TEXT, _BOOLEAN)
_KEY: Final = _pattern("[!-~](?:[ -~]{0,253}[!-~])?")
_EVENT_TYPE: Final = _choice(EventType)
_SUBSCRIBABLE: Final = _choice(SUBSCRIBABLE)
_FACTS: Final = _row(_TEXT, _or_null(_TEXT), _or_null(_TEXT), _or_null(_TEXT), _or_null(_TEXT), _or_null(_COUNT))
_HTTP_STATUS: Final[_Schema] = {"type": "integer", "minimum": 100, "maximum": 999}
_RESULT: Final = _row(_or_null(_HTTP_STATUS), _TEXT, _rows(_row(_TEXT, _TEXT)), _TEXT, _BOOLEAN, _BOOLEAN)
_DELIVERY: Final = _row(
    _COUNT,
    _COUNT,
    _row(_COUNT, _EVENT_TYPE, _ORGANIZATION, _INSTANT, _FACTS, _BOOLEAN),
    _choice(DeliveryKind),
    _END,
    _choice(DeliveryStatus),
    _rows(_row(_INSTANT, _INSTANT, _RESULT)),
    {"type": "null"},
    _or_null(_choice(Tampering)),
    _BOOLEAN,
    _TEXT,
)
_ENDPOINT: Final = _row(
    _COUNT,
    _ORGANIZATION,
    _TEXT | {"maxLength": 2048},
    _rows(_SUBSCRIBABLE) | {"minItems": 1},
    _or_null(_TEXT | {"minLength": 16, "maxLength": 256}),
    _INSTANT,
)
_RULE: Final = _row(
    _COUNT,
    _choice(Action),
    _or_null(_COUNT),
    _or_null(_SUBSCRIBABLE),
    _or_null(_COUNT | {"minimum": 1}),
    _END,
    _choice(Tampering),
)
_WORLD: Final = _object(
    config=config.build_schema(),
    clock_offset_ms=_COUNT,
    now=_INSTANT,
    answered=_COUNT,
    retention=_row(_COUNT, _COUNT, _COUNT),
    organizations=_table(_rows(_LABEL), _ORGANIZATION),
    keys=_rows(_row(_pattern("[0-9a-f]{64}"), _ORGANIZATION, _rows(_PERMISSION), _TEXT, _or_null(_COUNT), _BOOLEAN)),
    samples=_rows(_pattern("[A-Za-z0-9_-]{0,55}")),
    catalogue=_object(
        owners=_table(_ORGANIZATION, _id("proj", "tc", "suite")),
        given=_rows(_id("proj", "tc", "suite")),
        suites=_table(_CASES, _SUITE),
        projects=_table(_rows(_row(_COUNT, _PROJECT, _TEXT | {"minLength": 1}, _INSTANT)), _ORGANIZATION),
    ),
    started=_COUNT,
    forgotten=_COUNT,
    runs=_rows(_RUN),  # tested one by one with `is_run`
    tenancies=_table(_row(_COUNT, _rows(_COUNT), _COUNT), _ORGANIZATION),
    agenda=_object(sequence=_COUNT, due=_rows(_row(_END, _COUNT, _ORGANIZATION, _NUMBER, _TEXT, _NUMBER))),
    run_counts=_rows(_row(_ORGANIZATION, _id("tc", "suite"), _COUNT)),
    seen=_rows(_row(_COUNT, _STATUS)),
    outbox=_object(
        samples=_rows(_WORD),
        endpoints=_rows(_ENDPOINT),
        deliveries=_rows(_DELIVERY),
        queues=_rows(_row(_COUNT, _rows(_COUNT))),
        finished=_rows(_COUNT),
        rules=_rows(_RULE),
        counts=_row(_COUNT, _COUNT, _COUNT, _COUNT, _COUNT, _COUNT),
    ),
    faults=_object(added=_COUNT, rules=_rows(_row(_COUNT, _TEXT, _COUNT, _COUNT))),
    limits=_table(_row(_END, _COUNT, _BOOLEAN), _pattern("[0-9a-f]{24}")),
    answers=_rows(_row(_ORGANIZATION, {"const": "POST"}, _TEXT, _KEY, _TEXT, _ANSWER, _COUNT, _END)),
)
_STEP: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_MOST_STEPS: Final = 4


@lru_cache(maxsize=1)
def _world_finder() -> Callable[[Any], Misfit | None]:
    return compile_finder(_WORLD)


@lru_cache(maxsize=1)
def _run_validator() -> Callable[[Any], bool]:
    return compile_schema(_RUN)


def find_invalid_value(state: Any) -> str:  # noqa: ANN401  JSON
    """The first mistake in the shape of a world, in words that name the place; empty if there is none."""
    misfit = _world_finder()(state)
    if misfit is None:
        return ""
    place = write_path(misfit.path)
    if misfit.missing:
        return f"{place}.{misfit.missing} is missing" + ("" if misfit.path else f" before {place}.runs")
    return f"{place} has an unknown field" if misfit.is_unknown else f"the value of {place} is invalid"


def is_run(row: Any) -> bool:  # noqa: ANN401  JSON
    """Whether a JSON value has the shape of a run in a world."""
    return _run_validator()(row)


def write_path(steps: Sequence[str | int]) -> str:
    """A path of at most four steps, up to the first name that a message should not repeat."""
    path = "world"
    for step in steps[:_MOST_STEPS]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _STEP.fullmatch(step):
            path += f".{step}"
        else:
            break
    return path
