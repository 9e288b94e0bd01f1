"""Routes: the operation and the parameters of a path."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.http.routes import Routes
from zof_emulator.spec.document import find_document, load_document
from zof_emulator.spec.operation import compile_operations

from tests.zof import Zof

TEMPLATE = next(one for one in compile_operations(load_document(find_document("openapi.yaml"))) if one.id == "getRun")
ROUTES = Routes("/v1", [replace(TEMPLATE, path="/runs/{run_id}/cases/{index}"), replace(TEMPLATE, path="/runs/{id}")])
SEGMENTS = st.text(min_size=1).filter(lambda text: text not in {".", ".."}).filter(lambda text: text.isprintable())


@given(run=SEGMENTS, index=SEGMENTS)
def test_a_route_carries_every_parameter_of_its_path(run: str, index: str) -> None:
    """Each `{parameter}` is found by its name, whatever its place, encoded slashes included."""
    raw = f"/v1/runs/{quote(run, safe='')}/cases/{quote(index, safe='')}".encode()
    route, parameters = ROUTES.find({"path": f"/v1/runs/{run}/cases/{index}", "raw_path": raw})
    assert route is not None
    assert parameters == {"run_id": run, "index": index}


def test_an_empty_segment_is_no_parameter() -> None:
    """A path with an empty parameter is not found."""
    assert ROUTES.find({"path": "/v1/runs//cases/1", "raw_path": b"/v1/runs//cases/1"}) == (None, {})


def test_a_parameter_may_have_the_name_of_a_fixed_segment() -> None:
    """A fixed segment is tried first; where it leads nowhere, it is the value of the parameter beside it."""
    paths = ["/results/export", "/results/{id}", "/results/{id}/artifacts"]
    routes = Routes("/v1", [replace(TEMPLATE, path=path) for path in paths])
    found = {path: routes.find({"path": path}) for path in ("/v1/results/export", "/v1/results/export/artifacts")}
    values = {path: (route and "/".join(route.segments), parameters) for path, (route, parameters) in found.items()}
    assert values == {
        "/v1/results/export": ("results/export", {}),
        "/v1/results/export/artifacts": ("results/{id}/artifacts", {"id": "export"}),
    }


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/v1/run", "/v1/runs"),
        ("/v1/runs/", "/v1/runs"),
        ("/runs", "/v1/runs"),
        ("/w/a/v1/Runs", "/v1/runs"),
        ("/v1/run/run_1", "/v1/runs/{id}"),
        ("/v1/runs/run_1/log", "/v1/runs/{id}/logs"),
        ("/v1/artifacts/art_1/contents", "/v1/artifacts/{id}/content"),
        ("/v1/nothing", ""),
        ("/v1", ""),
        ("/v1/" + "runs" * 1_000, ""),
    ],
)
def test_a_misspelt_path(path: str, nearest: str) -> None:
    """The 404 of a path names the path of the API that it is a misspelling of, if there is one."""
    error = Zof().send("GET", path, key=None).json["error"]
    after = f"the nearest path is {nearest}." if nearest else "the API is under /v1."
    assert error == {"code": "not_found", "message": f"There is nothing at this path; {after}"}


def test_a_misspelt_path_of_the_control_operations() -> None:
    """Below `/_emulator` the message lists what there is, as before."""
    assert "clock/advance" in Zof().send("GET", "/_emulator/clocks", key=None).json["error"]["message"]
