"""The JSON Schema of a scenario: the data and the outcomes that a world begins with.

`x-expected` says in words what a value must be; messages about mistakes use it.
"""

from __future__ import annotations

from typing import Any, Final

from zof_emulator.core import faults
from zof_emulator.core.endpoints import SUBSCRIBABLE
from zof_emulator.core.tenants import PERMITS, Role

Schema = dict[str, Any]

LABEL: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
"""The pattern of an environment's label."""
MOST_CASES: Final = 500
"""The largest number of cases of a run or a suite."""
MOST_PAST_RUNS: Final = 100_000
"""The largest number of runs that a scenario generates."""
MOST_RESULTS: Final = 500_000
"""The largest number of cases in all runs of a scenario together; each one takes memory and time at the start."""
MOST_WAITING: Final = 10_000
"""The largest number of queued runs that a scenario starts."""
MOST_OWN_FILES: Final = 16
"""The largest number of artifacts that a rule adds to a case; the IDs of artifacts hold four digits."""
LONGEST_CASE_MS: Final = 86_400_000
"""The longest duration of a case in a scenario, in ms: a day."""
_MOST: Final = 10_000
_PATTERN_CHARACTERS: Final = r"[A-Za-z0-9_*-]{1,70}"
_SPAN: Final = r"^[0-9]{1,6} ?(ms|s|min|h|d)$"


def _text(description: str, most: int, **more: Any) -> Schema:  # noqa: ANN401  keywords
    expected = f"a text of 1 to {most} characters"
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": most,
        "description": description,
        "x-expected": expected,
        **more,
    }


def _id(prefix: str, description: str, most: int = 64) -> Schema:
    return {
        "type": "string",
        "pattern": f"^{prefix}_[A-Za-z0-9_-]{{1,{most}}}$",
        "description": description,
        "x-expected": f"{prefix}_, then 1 to {most} letters, digits, _ or -",
    }


def _matching(description: str) -> Schema:
    return {
        "type": "string",
        "pattern": f"^{_PATTERN_CHARACTERS}$",
        "description": description,
        "x-expected": "an ID, in which * stands for any characters",
    }


def _choice(description: str, *choices: str) -> Schema:
    return {"enum": list(choices), "description": description}


def _integer(description: str, minimum: int, maximum: int) -> Schema:
    return {
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
        "description": description,
        "x-expected": f"a whole number from {minimum} to {maximum}",
    }


def _percent(description: str) -> Schema:
    return _integer(description, 0, 100)


def _span(description: str) -> Schema:
    return {
        "type": "string",
        "pattern": _SPAN,
        "description": description,
        "x-expected": "a number with a unit: ms, s, min, h or d, as in 30d",
    }


def _list(description: str, of: Schema, least: int = 0, most: int = _MOST, **more: Any) -> Schema:  # noqa: ANN401
    expected = f"a list of {least} to {most} entries"
    return {
        "type": "array",
        "items": of,
        "minItems": least,
        "maxItems": most,
        "description": description,
        "x-expected": expected,
        **more,
    }


def _object(description: str, required: tuple[str, ...], /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
        "x-expected": "a mapping",
    }


def _either(description: str, expected: str, *schemas: Schema) -> Schema:
    return {"anyOf": list(schemas), "description": description, "x-expected": expected}


_DURATION: Final = _integer("In ms.", 0, LONGEST_CASE_MS)
_DURATIONS: Final = _either(
    "How long the case takes, in ms: a number, or the shortest and the longest duration, and the seed chooses.",
    f"a whole number of ms from 0 to {LONGEST_CASE_MS}, or a list of two, the shorter first",
    _DURATION,
    _list("The shortest and the longest duration.", _DURATION, 2, 2),
)
_NUMBER: Final = _integer("The number of a run, counted from 1.", 1, 1_000_000)
_OWNER: Final = _id("org", "The organization; by default the first one.")
_PERMISSION: Final = _choice("A permission.", *sorted(PERMITS[Role.ADMIN]))
_LABEL_TEXT: Final = {
    "type": "string",
    "pattern": f"^{LABEL}$",
    "description": "The label of an environment.",
    "x-expected": "1 to 63 letters, digits, _, . or -, with a letter or digit first",
}
_ORGANIZATION: Final = _object(
    "An organization.",
    ("id",),
    id=_id("org", "Its ID."),
    environments=_list(
        "The labels of its environments; by default staging and production.", _LABEL_TEXT, 1, 100, uniqueItems=True
    ),
)
_KEY: Final = _object(
    "An API key. It has `secret`, and `role` or `permissions`.",
    (),
    secret={
        "type": "string",
        "pattern": "^[A-Za-z0-9_.-]{8,256}$",
        "description": "The key itself, as a client sends it.",
        "x-expected": "8 to 256 letters, digits, _, . or -",
    },
    digest={
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "In place of `secret`, as snapshots and journals hold it: the SHA-256 of `Bearer ` and the key.",
        "x-expected": "64 hexadecimal digits in lower case",
    },
    organization=_OWNER,
    role=_choice("The role whose permissions it has.", *(one.value for one in Role)),
    permissions=_list("Its permissions.", _PERMISSION, 0, 3, uniqueItems=True),
    note=_text("What it is for.", 200),
    expires_in=_span("How long after the start of the world it expires; `0s` means that it has expired."),
    revoked={"type": "boolean", "description": "Whether it is revoked.", "x-expected": "true or false"},
)
_PROJECT: Final = _object(
    "A project.",
    ("id",),
    id=_id("proj", "Its ID."),
    organization=_OWNER,
    name=_text("Its name; by default its ID without the prefix.", 200),
    age=_span("How long before the start of the world it was created; by default `1d`."),
)
_CASE: Final = _object("A case.", ("id",), id=_id("tc", "Its ID."), organization=_OWNER)
_CASES: Final = _list("The IDs of its cases.", _id("tc", "The ID of a case."), 1, MOST_CASES, uniqueItems=True)
_SUITE: Final = _object("A suite.", ("id", "cases"), id=_id("suite", "Its ID."), organization=_OWNER, cases=_CASES)
_RUNS: Final = _object(
    "One or more runs that exist when the world begins.",
    ("project",),
    id=_id("run", "The ID of the run, if `count` is 1; by default a generated one.", 55),
    organization=_OWNER,
    project=_id("proj", "The project."),
    environment={**_LABEL_TEXT, "description": "The environment; by default the first one of the organization."},
    suite=_id("suite", "The suite that they run; `cases` excludes it."),
    cases=_CASES,
    state=_choice("`ended` (default), or `queued`: they start when the world begins.", "ended", "queued"),
    count=_integer("How many; by default 1.", 1, MOST_PAST_RUNS),
    over=_span("The period before the start of the world over which they are spread; by default `1d`."),
    age=_span("How long before the start of the world the period ends; by default `0s`."),
    failed_percent=_percent("The share that failed, rounded down to whole runs."),
    error_percent=_percent("The share that ended in error."),
    canceled_percent=_percent("The share that was canceled."),
)
_WEBHOOK: Final = _object(
    "A registered webhook.",
    ("url", "events"),
    id=_id("wh", "Its ID; by default `wh_scenario_1` and so on."),
    organization=_OWNER,
    url=_text("The URL that receives the events.", 2048),
    events=_list(
        "The types of event.", _choice("A type of event.", *(one.value for one in SUBSCRIBABLE)), 1, uniqueItems=True
    ),
    secret={**_text("The secret that signs; by default a generated one.", 256), "minLength": 16}
    | {"x-expected": "a text of 16 to 256 characters"},
)
_LEVEL: Final = _choice("The level.", "info", "warning", "error")
_FILE: Final = _object(
    "An artifact. It has `text` or `base64`.",
    ("name", "type", "content_type"),
    name={
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$",
        "description": "The file name.",
        "x-expected": "1 to 100 letters, digits, _, . or -, with a letter or digit first",
    },
    type=_choice("Its type.", "screenshot", "trace", "export"),
    content_type=_choice(
        "Its media type, one of those that the contract has.", "image/png", "application/zip", "application/xml"
    ),
    text=_text("The content as text.", 65_536),
    base64={
        "type": "string",
        "minLength": 4,
        "maxLength": 131_072,
        "pattern": "^[A-Za-z0-9+/]*={0,2}$",
        "description": "The content in base64.",
        "x-expected": "base64, at most 131072 characters",
    },
)
_OUTCOME: Final = _object(
    "A rule for the outcomes of cases. The first rule that matches decides.",
    (),
    case=_matching("The cases that it applies to; by default all."),
    suite=_matching(
        "It applies to runs of these suites only; `nth`, `first` and `every` then count runs of the suite."
    ),
    environment={
        "type": "string",
        "pattern": "^[A-Za-z0-9_.*-]{1,70}$",
        "description": "It applies in these environments only.",
        "x-expected": "a label, in which * stands for any characters",
    },
    nth=_either(
        "The runs of the case that it applies to, counted from 1: a number or a list.",
        "a whole number from 1 to 1000000, or a list of them",
        _NUMBER,
        _list("Numbers of runs.", _NUMBER, 1, 1_000),
    ),
    first=_integer("It applies to this number of runs of the case, the first ones.", 1, 1_000_000),
    every=_integer("It applies to every run whose number is a multiple of this.", 1, 1_000_000),
    percent=_percent("It applies to this share of the runs of the case, chosen by the seed."),
    status=_choice("The outcome; without it, words in the case's ID decide.", "passed", "failed", "error"),
    duration_ms=_DURATIONS,
    message=_text("The message of the failure.", 2_000),
    category=_choice("The category of the failure.", "assertion", "timeout", "platform"),
    log=_list(
        "Log lines between the first and the last line of the case.",
        _either(
            "A line: a text, or a mapping with `level` and `message`.",
            "a text, or a mapping with level and message",
            _text("The message; its level is info.", 2_000),
            _object("A line.", ("message",), level=_LEVEL, message=_text("The message.", 2_000)),
        ),
        0,
        100,
    ),
    artifacts=_list("Artifacts besides the trace and the screenshot.", _FILE, 0, MOST_OWN_FILES),
)
_TIMING: Final = _object(
    "The durations of cases for which no outcome gives one.",
    (),
    shortest_ms=_integer("The shortest duration of a case, in ms; by default 200.", 0, LONGEST_CASE_MS),
    longest_ms=_integer("The longest duration, in ms; by default 1500.", 0, LONGEST_CASE_MS),
    slow_factor=_integer("The factor for cases whose ID contains `slow`; by default 10.", 1, 1_000),
)
PROPERTIES: Final[dict[str, Schema]] = {
    "name": {
        "type": "string",
        "pattern": "^[a-z0-9][a-z0-9-]{0,63}$",
        "description": "The name of the scenario; by default the name of its file.",
        "x-expected": "1 to 64 lower-case letters, digits or -, with a letter or digit first",
    },
    "description": _text("What it is for.", 2_000),
    "base": _choice(
        "What the scenario adds to: `empty` (default) is the default data without its ended runs, `default` has these "
        "runs too, and `none` is nothing at all.",
        "empty",
        "default",
        "none",
    ),
    "organizations": _list("The organizations.", _ORGANIZATION, 0, 100),
    "keys": _list("The API keys.", _KEY, 0, 1_000),
    "projects": _list("The projects.", _PROJECT),
    "cases": _list(
        "The cases: IDs, or mappings.",
        _either("A case.", "the ID of a case, or a mapping with id", _id("tc", "Its ID."), _CASE),
    ),
    "suites": _list("The suites.", _SUITE, 0, 1_000),
    "webhooks": _list("The registered webhooks.", _WEBHOOK, 0, 100),
    "timing": _TIMING,
    "outcomes": _list("Rules for the outcomes of cases, the first that matches decides.", _OUTCOME, 0, 1_000),
    "faults": _list(
        "Rules by which requests fail on purpose, as `POST /_emulator/faults` takes them.", faults.build_schema()
    ),
    "runs": _list("Runs that exist when the world begins.", _RUNS, 0, 100),
}
"""The schema of each part of a scenario."""
OF_DATA: Final[Schema] = _object("A scenario without the settings of its world.", ("name",), **PROPERTIES)
"""The schema of a scenario as snapshots and journals hold it, where its settings stand beside it."""
