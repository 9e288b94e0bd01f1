"""The order in which a request is judged (contract, section 1): of several faults the earliest is reported."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.limits import Rate
from zof_emulator.core.tenants import DEFAULT, PERMITS, Key, Role

from tests.http.exchanges import JSON, MIB, START, prepare_emulator
from tests.zof import ADMIN, EXPIRED, STAGING, Zof

if TYPE_CHECKING:
    from tests.zof import Answer

ALLOWED: Final = "zof_test_allowed"
DENIED: Final = "zof_test_denied"
LIMIT: Final = 3
ZOF: Final = Zof(
    data=replace(
        DEFAULT,
        keys=(
            *DEFAULT.keys,
            Key(ALLOWED, "org_abc", PERMITS[Role.ADMIN]),
            Key(DENIED, "org_abc", PERMITS[Role.VIEWER]),
        ),
    ),
    rate=Rate(limit=LIMIT),
)
GATE: Final = {
    "path": (404, "not_found", None),
    "method": (405, "method_not_allowed", None),
    "key": (401, "unauthorized", None),
    "rate": (429, "rate_limit_exceeded", None),
    "permission": (403, "forbidden", None),
    "header": (400, "invalid_request", "Idempotency-Key"),
    "query": (400, "invalid_request", "verbose"),
}
"""The faults that every write may have, the earliest first."""
BODIES: Final = {
    "too large": (b" " * (MIB + 1), (413, "payload_too_large", None)),
    "not JSON": (b"x=1", (415, "unsupported_media_type", "Content-Type")),
    "malformed": (b"{", (400, "invalid_request", None)),
    "unknown field": (json.dumps({**START, "name": "x"}).encode(), (400, "invalid_request", "name")),
}
START_FAULTS: Final = [*GATE, "body", "replay", "existence"]
CANCEL_FAULTS: Final = [*GATE, "existence", "state"]


@st.composite
def some(draw: st.DrawFn, faults: list[str]) -> set[str]:
    """One of these faults, uniformly, and some of the later ones."""
    first, *later = faults[draw(st.integers(0, len(faults) - 1)) :]
    return {first, *(one for one in later if draw(st.booleans()))}


def send_faulty_write(path: str, faults: set[str], body: bytes = b"", *, declared: str, key: str) -> Answer:
    """The answer to a write with these faults of the gate, by a client whose idempotency key is `key`."""
    who = EXPIRED if "key" in faults else DENIED if "permission" in faults else ALLOWED
    if "rate" in faults:
        for _ in range(LIMIT):
            ZOF.get("/runs", key=who)
    return ZOF.send(
        "PATCH" if "method" in faults else "POST",
        f"/v1/nothing{path}" if "path" in faults else f"/v1{path}{'?verbose=1' if 'query' in faults else ''}",
        key=who,
        headers=[("content-type", declared), ("idempotency-key", "\x7f" if "header" in faults else key)],
        body=body,
    )


@given(some(START_FAULTS), st.sampled_from(sorted(BODIES)))
def test_a_start_with_several_faults(faults: set[str], amiss: str) -> None:
    """Path, method, key, rate limit, permission, headers, query, body, replay, existence: the earliest fault wins."""
    ZOF.control("/reset")
    assert ZOF.post("/runs", START, key=ADMIN, idempotency_key="used").status == 201
    other = {**START, "project_id": "proj_missing"} if "existence" in faults else {**START, "environment": "production"}
    content, by_body = BODIES[amiss] if "body" in faults else (json.dumps(other).encode(), None)
    answer = send_faulty_write(
        "/runs",
        faults,
        content,
        declared="text/plain" if by_body and amiss == "not JSON" else "application/json",
        key="used" if "replay" in faults else "new",
    )
    verdicts = GATE | {
        "body": by_body,
        "replay": (409, "conflict", "Idempotency-Key"),
        "existence": (404, "not_found", "project_id"),
    }
    assert answer.error == verdicts[next(one for one in START_FAULTS if one in faults)]
    assert len(ZOF.walk("/runs", key="zof_test_ci")) == 3


@given(some(CANCEL_FAULTS))
def test_a_cancel_with_several_faults(faults: set[str]) -> None:
    """Path, method, key, rate limit, permission, headers, query, existence, state: the earliest fault wins."""
    ZOF.control("/reset")
    run = "run_none" if "existence" in faults else "run_sample_failed"
    answer = send_faulty_write(f"/runs/{run}/cancel", faults, declared="text/plain", key="new")
    verdicts = GATE | {"existence": (404, "not_found", None), "state": (409, "conflict", None)}
    earliest = next((one for one in CANCEL_FAULTS if one in faults), "state")
    # A run that is named, and is there, has ended here: its state is at fault when nothing else is.
    assert answer.error == verdicts[earliest]


@given(some(list(GATE)))
def test_a_replay_with_faults_before_it(faults: set[str]) -> None:
    """The checks before the replay apply again, so a replay can be refused like any request."""
    ZOF.control("/reset")
    first = ZOF.post("/runs", START, key=ADMIN, idempotency_key="used")
    assert first.status == 201
    content = json.dumps(START).encode()
    answer = send_faulty_write("/runs", faults, content, declared="application/json", key="used")
    assert answer.error == GATE[next(one for one in GATE if one in faults)]


def test_a_replay_comes_before_the_state() -> None:
    """A replay comes before the check of the state: the repeated cancel of a canceled run succeeds."""
    zof = prepare_emulator()
    path = f"/runs/{zof.start()['id']}/cancel"
    assert zof.post(path, idempotency_key="once").status == 200
    assert zof.post(path, idempotency_key="once").status == 200
    assert zof.post(path).error == (409, "conflict", None)


WRONG_FIELDS: Final[dict[str, Any]] = {
    "project_id": "x",
    "environment": "moon",
    "test_case_ids": [],
    "test_suite_id": 5,
    "zzz": 1,
    "aaa": 1,
}
"""A wrong value for each field of a start in the order of the spec, then what no start knows."""


@given(some(list(WRONG_FIELDS)), st.randoms())
def test_a_body_with_several_faults(wrong: set[str], chance: Any) -> None:  # noqa: ANN401  Hypothesis's own
    """The first fault of a body in the order of the document is reported, unknown fields last."""
    right: dict[str, Any] = {**STAGING, **({} if wrong & {"test_suite_id"} else {"test_case_ids": ["tc_a"]})}
    fields = list((right | {name: WRONG_FIELDS[name] for name in wrong}).items())
    chance.shuffle(fields)
    status, code, param = prepare_emulator().post("/runs", dict(fields)).error
    known = [name for name in list(WRONG_FIELDS)[:4] if name in wrong]
    assert (status, code) == (400, "invalid_request")
    assert param == known[0] if known else param in wrong


WRONG_PARAMETERS: Final = {
    "project_id": "x",
    "status": "x",
    "created_after": "x",
    "created_before": "x",
    "limit": "0",
    "starting_after": "",
    "verbose": "x",
}
"""A wrong value for each parameter of the list of runs in the order of the spec, then one that it does not know."""


@given(some(list(WRONG_PARAMETERS)).flatmap(lambda names: st.permutations(sorted(names))), st.data())
def test_a_query_with_several_faults(names: list[str], data: st.DataObject) -> None:
    """The first fault of a query in the order of the document is reported, unknown parameters last."""
    twice = data.draw(st.sets(st.sampled_from(names)))
    pairs = [(name, WRONG_PARAMETERS[name]) for name in [*names, *sorted(twice)]]
    answer = prepare_emulator().send("GET", f"/v1/runs?{urlencode(pairs)}")
    assert answer.error == (400, "invalid_request", next(one for one in WRONG_PARAMETERS if one in names))


def test_a_forged_cursor_comes_before_an_unknown_parameter() -> None:
    """An invalid cursor is reported before an unknown parameter."""
    answer = prepare_emulator().get("/runs", starting_after="cur_forged", verbose=1)
    assert answer.error == (400, "invalid_request", "starting_after")


@pytest.mark.parametrize("path", ["/runs/run_none/logs", "/runs/run_none/artifacts", "/results/res_none/artifacts"])
def test_a_forged_cursor_comes_before_existence(path: str) -> None:
    """An invalid cursor is reported before an unknown path ID."""
    assert prepare_emulator().get(path, starting_after="cur_forged").error == (400, "invalid_request", "starting_after")


def test_headers_come_before_the_query_and_the_query_before_the_body() -> None:
    """Faults are reported in this order: header, query, body."""
    zof = prepare_emulator()
    body = b'{"zzz": 1}'
    wrong = ("idempotency-key", "x" * 256)
    first = zof.send("POST", "/v1/runs?zzz=1", headers=[*JSON, wrong], body=body)
    assert first.error == (400, "invalid_request", "Idempotency-Key")
    assert zof.send("POST", "/v1/runs?zzz=1", headers=JSON, body=body).error == (400, "invalid_request", "zzz")
    assert zof.send("POST", "/v1/runs", headers=JSON, body=body).error == (400, "invalid_request", "project_id")
