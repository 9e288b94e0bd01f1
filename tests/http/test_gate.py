"""Access (contract, section 3): keys, permissions, and the isolation of organizations."""

from __future__ import annotations

import string
from dataclasses import replace
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zof_emulator.app import EPOCH
from zof_emulator.core.tenants import DEFAULT, PERMITS, Key, Role, SeedData

from tests.http.exchanges import FAR, JSON, START, prepare_emulator
from tests.zof import ADMIN, CI, EXPIRED, OTHER, STAGING, VIEWER, Zof

if TYPE_CHECKING:
    from tests.zof import Answer

KEYS: Final = frozenset(key.secret for key in DEFAULT.keys)
PERMISSIONS: Final = ("projects:read", "runs:create", "webhooks:manage")
SUBSETS: Final = [frozenset(some) for some in chain.from_iterable(combinations(PERMISSIONS, many) for many in range(4))]
READS: Final = [
    "/v1/runs",
    "/v1/runs/run_sample_failed",
    "/v1/runs/run_sample_failed/logs",
    "/v1/runs/run_sample_failed/artifacts",
    "/v1/results",
    "/v1/results/res_sample_failed_002",
    "/v1/results/res_sample_failed_002/artifacts",
    "/v1/artifacts/art_sample_failed_0006/content",
]
ENDPOINTS: Final = [
    *(("GET", path, None) for path in READS),
    ("GET", "/v1/projects", "projects:read"),
    ("POST", "/v1/runs", "runs:create"),
    ("POST", "/v1/runs/{queued}/cancel", "runs:create"),
    ("POST", "/v1/results/export", None),
]
"""Every operation, and the permission that it needs."""
BODIES: Final = {"/v1/runs": b'{"project_id":"proj_abc","environment":"staging","test_case_ids":["tc_a"]}'}
EXPORT: Final = b'{"format":"json"}'


def make_data(*keys: Key) -> SeedData:
    """The default data with more keys."""
    return replace(DEFAULT, keys=(*DEFAULT.keys, *keys))


def find_key(permissions: frozenset[str]) -> str:
    """The key that holds these permissions and no others."""
    return "zof_test_" + ("-".join(sorted(permissions)).replace(":", "_") or "nothing")


ROLES: Final = Zof(data=make_data(*(Key(find_key(some), "org_abc", some) for some in SUBSETS)))


def ask(zof: Zof, method: str, path: str, key: str | None) -> Answer:
    """A valid request of an operation, with a key."""
    target = path.format(queued=zof.start(key=ADMIN)["id"]) if "{" in path else path
    body = EXPORT if path.endswith("export") else BODIES.get(path, b"") if method == "POST" else b""
    return zof.send(method, target, key=key, headers=JSON, body=body)


@pytest.mark.parametrize(("method", "path", "_needs"), ENDPOINTS)
def test_every_operation_needs_a_key(method: str, path: str, _needs: str | None) -> None:
    """No operation answers without a key."""
    zof = prepare_emulator()
    assert ask(zof, method, path, None).error == (401, "unauthorized", None)
    assert ask(zof, method, path, EXPIRED).error == (401, "unauthorized", None)
    assert ask(zof, method, path, ADMIN).status in {200, 201}


@given(st.text(string.ascii_letters + string.digits + "_-. ", max_size=30).filter(lambda one: one.strip() not in KEYS))
@example("")
@example(ADMIN.upper())
@example(ADMIN[:-1])
@example(ADMIN + "x")
def test_a_key_that_is_none(secret: str) -> None:
    """A key that the data does not hold is 401."""
    assert prepare_emulator().get("/runs", key=secret or " ").error == (401, "unauthorized", None)


@pytest.mark.parametrize(
    "header",
    [
        ("authorization", ADMIN),
        ("authorization", f"Basic {ADMIN}"),
        ("authorization", f"Token {ADMIN}"),
        ("authorization", f"Bearer{ADMIN}"),
        ("authorization", "Bearer"),
        ("authorization", ""),
        ("x-api-key", ADMIN),
        ("cookie", f"key={ADMIN}"),
    ],
)
def test_a_key_that_is_not_sent_as_a_bearer_token(header: tuple[str, str]) -> None:
    """A key is valid only as `Authorization: Bearer <key>`."""
    assert prepare_emulator().send("GET", "/v1/runs", key=None, headers=[header]).error == (401, "unauthorized", None)


def test_a_key_that_was_sent_twice() -> None:
    """Two `Authorization` headers are 401, even if both are valid."""
    answer = prepare_emulator().send("GET", "/v1/runs", headers=[("authorization", f"Bearer {CI}")])
    assert answer.error == (401, "unauthorized", None)


def test_a_revoked_key() -> None:
    """A revoked key is 401, whatever its permissions."""
    zof = Zof(data=make_data(Key("zof_test_revoked", "org_abc", PERMITS[Role.ADMIN], revoked=True)))
    assert zof.get("/runs", key="zof_test_revoked").error == (401, "unauthorized", None)


DYING: Final = Zof(data=make_data(Key("zof_test_dying", "org_abc", PERMITS[Role.ADMIN], expires_at=EPOCH + 100_000)))


@given(st.integers(0, 200_000))
@example(99_999)
@example(100_000)
def test_a_key_that_expires(after_ms: int) -> None:
    """A key is valid before the instant of its expiry on the world's clock, and 401 from then on."""
    DYING.control("/reset")
    DYING.advance(after_ms)
    assert DYING.get("/runs", key="zof_test_dying").status == (200 if after_ms < 100_000 else 401)
    assert DYING.get("/runs").status == 200


def test_several_keys_of_an_organization() -> None:
    """Several keys of an organization are valid at the same time and show the same objects."""
    zof = prepare_emulator()
    run = zof.start(key=CI)["id"]
    answers = [zof.get(f"/runs/{run}", key=key) for key in (ADMIN, CI, VIEWER)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len({answer.content for answer in answers}) == 1


@given(st.sampled_from(SUBSETS), st.sampled_from(ENDPOINTS))
def test_permissions(held: frozenset[str], endpoint: tuple[str, str, str | None]) -> None:
    """Starting and canceling need `runs:create`, projects `projects:read`; all else any valid key; else 403."""
    method, path, needs = endpoint
    answer = ask(ROLES, method, path, find_key(held))
    if needs is None or needs in held:
        assert answer.status in {200, 201}
    else:
        assert answer.error == (403, "forbidden", None)


def test_what_a_role_permits() -> None:
    """Organization Admin and QA Lead hold all permissions, Engineer starts runs and sees projects, Viewer sees them."""
    assert {role.value: held for role, held in PERMITS.items()} == {
        "Organization Admin": set(PERMISSIONS),
        "QA Lead": set(PERMISSIONS),
        "Engineer": {"runs:create", "projects:read"},
        "Viewer": {"projects:read"},
    }


@pytest.mark.parametrize(
    ("key", "starts", "reads", "sees_samples"),
    [
        (ADMIN, 201, 200, True),
        (CI, 201, 200, True),
        (VIEWER, 403, 200, True),
        (EXPIRED, 401, 401, False),
        (OTHER, 201, 200, False),
    ],
)
def test_a_default_key(key: str, starts: int, reads: int, sees_samples: bool) -> None:  # noqa: FBT001
    """Each default key has the permissions and the organization of the contract."""
    zof = prepare_emulator()
    body = {**STAGING, "project_id": "proj_new", "test_case_ids": ["tc_new"]}
    assert zof.post("/runs", body, key=key).status == starts
    assert zof.get("/projects", key=key).status == reads
    assert (zof.get("/runs/run_sample_failed", key=key).status == 200) == sees_samples


def test_what_the_default_keys_are_permitted() -> None:
    """Five keys of two organizations: one with all permissions in each, and CI's, a viewer's and an expired one."""
    assert {key.secret: (key.organization, set(key.permissions)) for key in DEFAULT.keys if key.secret != EXPIRED} == {
        ADMIN: ("org_abc", set(PERMISSIONS)),
        CI: ("org_abc", {"runs:create", "projects:read"}),
        VIEWER: ("org_abc", {"projects:read"}),
        OTHER: ("org_other", set(PERMISSIONS)),
    }


@pytest.mark.parametrize("path", ["/", "/_emulator/version", "/_emulator/clock"])
def test_what_needs_no_key_is_for_this_machine(path: str) -> None:
    """Pages and `/_emulator` need no key and answer only clients on this machine."""
    zof = prepare_emulator()
    assert zof.send("GET", path, key=None).status == 200
    answer = zof.send("GET", path, key=None, client=FAR)
    assert answer.error[0] in {403, 404}
    assert ADMIN.encode() not in answer.content
    assert zof.send("GET", "/v1/runs", client=FAR).status == 200


# --- another organization


@pytest.mark.parametrize("path", [path for path in READS if "_sample_" in path])
def test_another_organizations_resource_is_404(path: str) -> None:
    """An object of another organization gets the same 404 as one that does not exist."""
    zof = prepare_emulator()
    theirs = zof.send("GET", path, key=OTHER)
    none = zof.send("GET", path.replace("_sample_", "_nothing_"), key=OTHER)
    assert theirs.error == (404, "not_found", None)
    assert theirs.content == none.content


def test_another_organizations_run_cannot_be_canceled() -> None:
    """A cancel of another organization's run is 404, and the run continues."""
    zof = prepare_emulator()
    run = zof.start()
    assert zof.post(f"/runs/{run['id']}/cancel", key=OTHER).error == (404, "not_found", None)
    assert zof.run(run["id"])["status"] in {"queued", "running"}


@pytest.mark.parametrize("path", ["/runs", "/results", "/projects"])
def test_another_organizations_list_is_its_own(path: str) -> None:
    """A list shows the organization's items only."""
    zof = prepare_emulator()
    assert zof.walk(path)
    assert zof.walk(path, key=OTHER) == []
    mine = zof.start("tc_mine", key=OTHER, project_id="proj_mine")
    zof.advance(60_000)
    assert len(zof.walk(path, key=OTHER)) == 1
    assert mine["organization_id"] == "org_other"
    assert not [one for one in zof.walk(path) if "mine" in str(one)]


@pytest.mark.parametrize(
    ("path", "query"), [("/runs", {"project_id": "proj_abc"}), ("/results", {"run_id": "run_sample_failed"})]
)
def test_a_filter_by_what_is_another_organizations(path: str, query: dict[str, str]) -> None:
    """A filter with another organization's project or run gives an empty list."""
    zof = prepare_emulator()
    assert zof.walk(path, **query)
    page = zof.get(path, key=OTHER, **query)
    assert (page.status, page.json) == (200, {"data": [], "has_more": False, "next_cursor": None})


def test_another_organizations_results_are_not_exported() -> None:
    """An export holds the organization's results only."""
    zof = prepare_emulator()
    assert zof.post("/results/export", {"format": "json"}).json["data"]
    for body in ({"format": "json"}, {"format": "json", "run_id": "run_sample_failed"}):
        assert zof.post("/results/export", body, key=OTHER).json == {"data": []}


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("project_id", "proj_abc", "project_id"),
        ("test_case_ids", ["tc_mine", "tc_login_001"], "test_case_ids[1]"),
        ("test_suite_id", "suite_pr_smoke", "test_suite_id"),
    ],
)
def test_a_start_with_what_is_another_organizations(field: str, value: Any, param: str) -> None:  # noqa: ANN401
    """A start that names another organization's project, case or suite is 404, and `param` names it."""
    body = {"project_id": "proj_mine", "environment": "staging", field: value}
    if field == "project_id":
        body["test_case_ids"] = ["tc_mine"]
    assert prepare_emulator().post("/runs", body, key=OTHER).error == (404, "not_found", param)


@pytest.mark.parametrize("path", ["/runs", "/results"])
def test_another_organizations_cursor(path: str) -> None:
    """A cursor of another organization's list is 400."""
    cursor = prepare_emulator().get(path, limit=1).json["next_cursor"]
    answer = prepare_emulator().get(path, key=OTHER, starting_after=cursor)
    assert answer.error == (400, "invalid_request", "starting_after")


def test_another_organizations_idempotency_key() -> None:
    """An idempotency key belongs to its organization; in another one it neither replays nor conflicts."""
    zof = prepare_emulator()
    first = zof.post("/runs", START, idempotency_key="same")
    other = {**START, "project_id": "proj_mine", "test_case_ids": ["tc_mine"]}
    second = zof.post("/runs", other, key=OTHER, idempotency_key="same")
    assert (first.status, second.status) == (201, 201)
    assert second.json["organization_id"] == "org_other"
