"""Strategies for scenarios that are free of mistakes."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

XML: Final = {"name": "notes.xml", "type": "export", "content_type": "application/xml", "text": "<notes/>"}
PNG: Final = {"name": "a.png", "type": "screenshot", "content_type": "image/png", "base64": "iVBORw0KGgo="}
CASES: Final = ("tc_login_001", "tc_checkout_014", "tc_cart_flaky_004", "tc_x_fail", "tc_x_slow")
SUITES: Final = ("suite_pr_smoke", "suite_flaky", "suite_own")


def optional(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects in which each of these parts may be missing."""
    return st.fixed_dictionaries({}, optional=parts)


def either(*choices: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the fields of one of these choices."""
    return st.one_of([st.fixed_dictionaries(one) for one in choices])


def merge(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the fields of all parts."""
    return st.tuples(*parts).map(lambda found: {name: one for part in found for name, one in part.items()})


small: Final = st.integers(1, 4)
texts: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
durations: Final = st.integers(0, 5_000)
_failure: Final = merge(
    st.fixed_dictionaries({"status": st.sampled_from(["failed", "error"])}),
    optional(message=texts, category=st.sampled_from(["assertion", "timeout", "platform"])),
)
outcomes: Final = merge(
    optional(
        case=st.sampled_from(["*", "tc_*", "tc_login*", *CASES]),
        suite=st.sampled_from(["suite_*", *SUITES]),
        environment=st.sampled_from(["staging", "prod*", "*"]),
    ),
    either(
        {},
        {"nth": small | st.lists(small, min_size=1, max_size=3)},
        {"first": small},
        {"every": small},
        {"percent": st.integers(0, 100)},
    ),
    st.one_of(_failure, st.just({"status": "passed"}), st.just({})),
    optional(
        duration_ms=durations | st.lists(durations, min_size=2, max_size=2).map(sorted),
        log=st.lists(
            texts | st.fixed_dictionaries({"level": st.sampled_from(["info", "warning"]), "message": texts}), max_size=3
        ),
        artifacts=st.lists(st.sampled_from([XML, PNG]), max_size=3),
    ),
)
runs: Final = merge(
    st.fixed_dictionaries({"project": st.sampled_from(["proj_abc", "proj_own"])}),
    either(
        {"cases": st.lists(st.sampled_from(CASES), min_size=1, max_size=3, unique=True)},
        {"suite": st.sampled_from(SUITES)},
    ),
    st.one_of(
        merge(
            optional(count=st.integers(1, 12), over=st.sampled_from(["0s", "3s", "2d"]), age=st.just("1h")),
            optional(**dict.fromkeys(("failed_percent", "error_percent", "canceled_percent"), st.integers(0, 33))),
        ),
        st.fixed_dictionaries({"state": st.just("queued"), "count": st.integers(1, 6)}),
    ),
)
keys: Final = merge(
    st.fixed_dictionaries({"secret": st.sampled_from(["zof_own_key", "zof_test_admin"])}),
    either(
        {"role": st.sampled_from(["Organization Admin", "Engineer", "Viewer"])},
        {"permissions": st.lists(st.sampled_from(["runs:create", "projects:read"]), unique=True)},
    ),
    optional(expires_in=st.sampled_from(["0s", "1h"]), revoked=st.booleans(), note=texts),
)
webhooks: Final = merge(
    st.fixed_dictionaries(
        {
            "url": st.just("http://127.0.0.1:9/x"),
            "events": st.lists(st.sampled_from(["run.completed", "run.failed"]), min_size=1, unique=True),
        }
    ),
    optional(secret=st.just("s" * 20)),
)
faults: Final = st.sampled_from(
    [
        {"match": {"operation": "startRun"}, "schedule": {"every": 3}, "effect": {"error": "rate_limited"}},
        {"match": {"path": "/v1/runs"}, "place": "after", "effect": {"status": 404, "undocumented": True, "body": {}}},
        {
            "match": {"key": "zof_test_admin"},
            "schedule": {"nth": 2},
            "effect": {"status": 418, "undocumented": True, "body": {}},
        },
    ]
)
scenarios: Final = optional(
    name=st.just("own"),
    base=st.sampled_from(["default", "empty"]),
    seed=st.integers(0, 2**63 - 1),
    capacity=small,
    max_runs=st.sampled_from([3, 100]),
    references=st.sampled_from(["open", "strict"]),
    environments=st.just(["qa"]),
    evolve=st.booleans(),
    faults=st.lists(faults, max_size=2),
    envelope=st.sampled_from(["present", "legacy"]),
    organizations=st.just([{"id": "org_abc", "environments": ["staging", "production", "qa"]}, {"id": "org_own"}]),
    keys=st.lists(keys, max_size=2, unique_by=lambda one: str(one["secret"])),
    suites=st.just([{"id": "suite_own", "cases": ["tc_own_1", "tc_own_2_slow"]}]),
    webhooks=st.lists(webhooks, max_size=2),
    timing=optional(shortest_ms=st.just(5), longest_ms=st.just(50), slow_factor=small).filter(
        lambda one: "longest_ms" not in one or "shortest_ms" in one
    ),
    outcomes=st.lists(outcomes, max_size=4),
    runs=st.lists(runs, max_size=3),
)
"""Scenarios whose organization of the default key is `org_abc`."""
