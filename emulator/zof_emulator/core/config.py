"""`WorldConfig`: the configuration of a world, as one value with one JSON form and one JSON Schema.

The command line, the control operations, the journal's header, snapshots and replay all use it. To add a setting, add a
field here, with its JSON Schema and its documentation; then add its flag in `cli/serve.py` and name it in the README.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from zof_emulator.core.limits import Rate, RateScope
from zof_emulator.core.scenario import Scenario
from zof_emulator.core.scenario_reader import read_scenario
from zof_emulator.core.scenario_schema import LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_SEED: Final = 2**63 - 1
_LARGEST: Final = 2**53
"""The largest integer that every JSON reader reads exactly."""


class ClockMode(StrEnum):
    """How the clock of a world moves."""

    REAL = "real"
    """The clock follows the system's clock."""
    MANUAL = "manual"
    """The clock starts at 2026-01-01T00:00:00Z and moves only when a client moves it."""
    AUTO = "auto"
    """Like `manual`, but the clock also moves when a client polls a run that has not ended."""


class References(StrEnum):
    """The treatment of a project, case or suite that a request names and the data does not hold."""

    OPEN = "open"
    """The unknown ID is created."""
    STRICT = "strict"
    """The request is refused."""


class Envelope(StrEnum):
    """The envelope in which webhook events are sent."""

    PRESENT = "present"
    """The one that the vendor's present pages show."""
    LEGACY = "legacy"
    """The one that an older page shows; it carries no event ID."""


def _integer(minimum: int, maximum: int) -> dict[str, Any]:
    return {"schema": {"type": "integer", "minimum": minimum, "maximum": maximum}}


def _choice(choices: type[StrEnum]) -> dict[str, Any]:
    return {"enum": choices, "schema": {"enum": [one.value for one in choices]}}


_SCENARIO_SCHEMA: Final = {"anyOf": [{"enum": [Scenario.DEFAULT.name, Scenario.EMPTY.name]}, {"type": "object"}]}
"""The parts of the object satisfy `scenario_schema.OF_DATA`, which few processes need."""
_RATE_BOUNDS: Final = {"limit": (1, _LARGEST), "window_ms": (1, _LARGEST), "burst": (0, 1_000_000)}


def _build_rate_schema() -> dict[str, Any]:
    numbers = {name: _integer(*bounds)["schema"] for name, bounds in _RATE_BOUNDS.items()}
    scope = _choice(RateScope)["schema"]
    items = [numbers["limit"], numbers["window_ms"], scope, numbers["burst"]]
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """The configuration of a world. An enumeration field accepts its member or the member's string.

    Raises:
        ValueError: a value is not allowed. The message names the field and the allowed values.
    """

    seed: int = field(default=0, metadata=_integer(0, LARGEST_SEED))
    """Seed for generated IDs and case durations."""
    clock: ClockMode = field(default=ClockMode.REAL, metadata=_choice(ClockMode))
    """How the clock moves."""
    scenario: Scenario = field(default=Scenario.DEFAULT, metadata={"schema": _SCENARIO_SCHEMA})
    """The content of a new world; as JSON the name `default` or `empty`, or an object without secrets."""
    rate: Rate = field(default_factory=Rate, metadata={"schema": _build_rate_schema()})
    """The rate limit; as JSON `[limit, window in ms, scope, burst]`."""
    capacity: int = field(default=4, metadata=_integer(1, 1_000_000))
    """The number of runs that an organization may have running at once."""
    max_runs: int = field(default=100_000, metadata=_integer(1, 10_000_000))
    """The number of ended runs that the world keeps for each organization; the earliest ended are deleted first."""
    references: References = field(default=References.OPEN, metadata=_choice(References))
    """The treatment of an unknown project, case or suite that a request names."""
    environments: tuple[str, ...] = field(
        default=(), metadata={"schema": {"type": "array", "items": {"type": "string", "pattern": f"^{LABEL}$"}}}
    )
    """The labels of the environments that every organization has in addition to its own."""
    envelope: Envelope = field(default=Envelope.PRESENT, metadata=_choice(Envelope))
    """The envelope of webhook events."""
    evolve: bool = field(default=False, metadata={"schema": {"type": "boolean"}})
    """Whether answers hold fields and values that the API may get without a new version."""

    def __post_init__(self) -> None:
        for one in fields(WorldConfig):
            object.__setattr__(self, one.name, _check_field(one.name, getattr(self, one.name), one.metadata))

    def to_json(self) -> dict[str, Any]:
        """The configuration as a JSON object with one entry per field."""
        rate = self.rate
        values = {one.name: getattr(self, one.name) for one in fields(WorldConfig)}
        return {
            **{name: str(value) if isinstance(value, StrEnum) else value for name, value in values.items()},
            "scenario": self.scenario.to_json(),
            "rate": [rate.limit, rate.window_ms, rate.scope.value, rate.burst],
            "environments": list(self.environments),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The configuration in a JSON object; a missing field has its default.

        Raises:
            ValueError: a value is not allowed.
            TypeError: a field is unknown, or a value has the wrong type.
        """
        given = dict(value)
        if "scenario" in given:
            given["scenario"] = read_scenario(given["scenario"])
        if "rate" in given:
            given["rate"] = Rate(*given["rate"])
        if "environments" in given:
            given["environments"] = tuple(given["environments"])
        return cls(**given)


def build_schema() -> dict[str, Any]:
    """The JSON Schema of the object that `WorldConfig.to_json` returns."""
    properties = {one.name: find_field_schema(one.name) for one in fields(WorldConfig)}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def find_field_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of the field `name`."""
    field_schema: dict[str, Any] = next(one.metadata["schema"] for one in fields(WorldConfig) if one.name == name)
    return field_schema


def _check_field(name: str, value: Any, metadata: Mapping[str, Any]) -> Any:  # noqa: ANN401  a field's value
    """The value of a field, converted to the field's type.

    Raises:
        ValueError: the value is not allowed.
    """
    rule = metadata["schema"]
    if "enum" in metadata:
        return _check_choice(name, value, metadata["enum"])
    if name == "scenario":
        return value if isinstance(value, Scenario) else read_scenario(value)
    if rule["type"] == "boolean":
        return _check_boolean(name, value)
    if rule["type"] == "integer":
        return check_integer(name, value, rule["minimum"], rule["maximum"])
    if name == "rate":
        return _check_rate(value)
    labels = tuple(value) if not isinstance(value, str) else (value,)
    for label in labels:
        check_label(label)
    return labels


def check_integer(name: str, value: object, minimum: int, maximum: int) -> int:
    """Return the value.

    Raises:
        ValueError: the value is not an integer from `minimum` to `maximum`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise ValueError(f"invalid {name} {value!r}: use an integer from {minimum} to {maximum}")
    return value


def _check_boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"invalid {name} {value!r}: use true or false")  # noqa: TRY004  as for every invalid value
    return value


def check_label(label: object) -> str:
    """Return the label of an environment.

    Raises:
        ValueError: the label is malformed.
    """
    if not isinstance(label, str) or not re.fullmatch(LABEL, label):
        raise ValueError(
            f"invalid environment {label!r}: use 1 to 63 letters, digits, '_', '.' or '-', with a letter or digit first"
        )
    return label


def _check_choice(name: str, value: Any, choices: type[StrEnum]) -> StrEnum:  # noqa: ANN401
    try:
        return choices(value)
    except ValueError:
        raise ValueError(f"invalid {name} {value!r}: use {', '.join(choices)}") from None


def _check_rate(value: object) -> Rate:
    if not isinstance(value, Rate):
        raise ValueError(f"invalid rate {value!r}: use a Rate")  # noqa: TRY004  every invalid value is a ValueError
    for name, bounds in _RATE_BOUNDS.items():
        check_integer(f"rate.{name}", getattr(value, name), *bounds)
    scope = _check_choice("rate.scope", value.scope, RateScope)
    return value if scope is value.scope else Rate(value.limit, value.window_ms, RateScope(scope), value.burst)
