"""The parts that are derived from the document, each of which has a rule."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.contract.document import Contract, load_contract
from zof_contracts.contract.owners import assign_owners
from zof_contracts.contract.resources import load_resources, read_resources
from zof_contracts.contract.rules import OWNERS, RULES, load_ownership
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.probes import PROBES, ProbeContext
from zof_contracts.probes.access import list_requests
from zof_contracts.search.fuzz import BODY_JUDGES
from zof_contracts.target.client import Client
from zof_contracts.verification.run import run

from tests.mutants.catalogue import target

if TYPE_CHECKING:
    from collections.abc import Mapping


def extend_document(schema: str = "") -> Contract:
    """The document with a further list, of webhooks, and with a further schema if one is named."""
    document = copy.deepcopy(load_contract().document)
    schemas = document["components"]["schemas"]
    item = {"type": "object", "properties": {"id": {"$ref": "#/components/schemas/RunId"}}}
    page = copy.deepcopy(schemas["ProjectPage"])
    page["properties"]["data"]["items"] = {"$ref": "#/components/schemas/Hook"}
    schemas |= {"Hook": item, "HookPage": page}
    if schema:
        schemas[schema] = {"type": "string", "pattern": "^hook_[A-Za-z0-9_-]{1,64}$"}
    listing = copy.deepcopy(document["paths"]["/projects"]["get"])
    listing["operationId"] = "listHooks"
    listing["parameters"].append({"name": "status", "in": "query", "schema": {"type": "string"}})
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/HookPage"}}}
    listing["responses"]["200"] = {"description": "Hooks.", "content": content}
    document["paths"]["/hooks"] = {"get": listing}
    return Contract(document)


@pytest.mark.parametrize(
    "fault",
    [
        "schemas: no rule names Hook;",
        "schemas: no rule names HookPage;",
        "assumed: no rule names Hook;",
        "values: no rule names HookId;",
        "accepts: no rule names listHooks;",
        "filters: no rule names listHooks;",
        "order: no rule names listHooks",
    ],
)
def test_an_addition_without_a_rule_is_refused(fault: str) -> None:
    """A list that is added to the document is an error at load, which names every place that needs a rule."""
    with pytest.raises(ValueError, match=r"^rules\.yaml does not fit openapi\.yaml: ") as error:
        assign_owners(load_ownership(), read_resources(extend_document("HookId")))
    assert fault in str(error.value)


def test_an_addition_is_derived() -> None:
    """A list that is added to the document is known without a change of code."""
    resources = read_resources(extend_document("HookId"))
    assert resources.pages["listHooks"] == "HookPage"
    assert resources.items["listHooks"] == "Hook"
    assert resources.filters["listHooks"] == {"status"}
    assert resources.prefixes["HookId"] == "hook_"


@pytest.mark.parametrize(
    ("rule", "kind", "part", "fault"),
    [
        ("runs.shape", "accepts", "startRun", "runs.shape and runs.start.accepted both name startRun"),
        ("pages.limit", "order", "getRun", "order: pages.limit names getRun, which does not exist"),
        ("pages.limit", "prefixes", "RunStatus", "prefixes: pages.limit names RunStatus, which does not exist"),
    ],
)
def test_an_owner_must_fit(rule: str, kind: str, part: str, fault: str) -> None:
    """Two owners of one part, and an owner of a part that does not exist, are errors at load."""
    rules: dict[str, Mapping[str, Any]] = {**load_ownership()}
    changed = {**rules.pop(rule), kind: part}
    with pytest.raises(ValueError, match="does not fit") as error:
        assign_owners({**rules, rule: changed}, load_resources())
    assert fault in str(error.value)


def test_owners_are_rules() -> None:
    """Every owner is a rule of the catalogue."""
    kinds = (
        OWNERS.schemas,
        OWNERS.assumed,
        OWNERS.values,
        OWNERS.prefixes,
        OWNERS.accepts,
        OWNERS.filters,
        OWNERS.order,
    )
    assert {rule for kind in kinds for rule in kind.values()} <= set(RULES)


def test_every_request_body_has_a_judge() -> None:
    """Each request body of the document has a function that names the rule which an accepted wrong body breaks."""
    assert set(BODY_JUDGES) == set(load_resources().inputs.values())


def test_every_operation_is_called_without_a_key() -> None:
    """The probe of keys has a request for each operation of the document, with no placeholder left in its path."""
    context = ProbeContext(Client(target()), Ledger(target()), "test")
    requests = list_requests(context)
    found = [load_contract().find_operation(each.method, each.path) for each in requests]
    assert {each.id for each in found if each} == set(load_contract().operations)
    assert not [each.path for each in requests if "//" in each.path or "{" in each.path]


def test_the_probes_reach_every_operation() -> None:
    """Each operation of the document is answered with success on the way of the probes, and each list is read."""
    journal = run(target(), max_examples=0).journal
    assert {each.operation for each in journal if each.response.ok and each.operation} == load_resources().operations
    limited = {each.operation for each in journal if each.request.query.startswith("limit=1")}
    assert limited >= set(load_resources().pages)


def test_no_rule_is_settled_by_two_names() -> None:
    """Each probe has a name of its own, by which findings are traced back to it."""
    names = [probe.name for probe in PROBES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "path",
    ["/v1/runs/%2F", "/v1/runs/a%2Fcancel", "/v1/runs/..", "/v1/runs/%2e", "/v1/runs/%252F", "/v1/runs/%3Flimit=1"],
)
def test_no_operation_is_found_for_an_ambiguous_path(path: str) -> None:
    """A path that some servers decode to another one belongs to no operation, so that no schema is expected of it."""
    assert load_contract().find_operation("GET", path) is None


@pytest.mark.parametrize("name", ["run_1", "%20", "%00", "run_%5c", "%25", "run_%0d%0a", "run_..", "%F0%9F%98%80"])
def test_an_odd_id_belongs_to_an_operation(name: str) -> None:
    """An ID with odd characters, none of which separates a path, is one of `getRun`."""
    found = load_contract().find_operation("GET", f"/v1/runs/{name}")
    assert found is not None
    assert found.id == "getRun"
