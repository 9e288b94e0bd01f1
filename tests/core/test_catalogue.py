"""The catalogue of projects, cases and suites, open and strict, against a dict of owners."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zof_emulator.core.catalogue import Catalogue, Order
from zof_emulator.core.config import References
from zof_emulator.core.refusal import Refused
from zof_emulator.core.tenants import Organization, Project, SeedData

if TYPE_CHECKING:
    from collections.abc import Iterable

CASE = re.compile(r"tc_[A-Za-z0-9_-]{1,64}")
DATA = SeedData(
    organizations=(Organization("org_a"), Organization("org_b")),
    keys=(),
    projects=(Project("proj_a", "org_a", "A", 2_000), Project("proj_b", "org_b", "B", 1_000)),
    cases={"tc_a": "org_a", "tc_b": "org_b", "tc_mine_001": "org_a"},
    suites={"suite_a": ("tc_a", "tc_mine_001"), "suite_b": ("tc_b",)},
)
organizations = st.sampled_from(["org_a", "org_b"])
projects = st.sampled_from(["proj_a", "proj_b", "proj_new", "proj_other", "proj_missing"])
cases = st.lists(
    st.sampled_from(["tc_a", "tc_b", "tc_new_001", "tc_mine_002", "tc_missing_001", "tc_z"]),
    min_size=1,
    max_size=3,
    unique=True,
)
suites = st.sampled_from(["suite_a", "suite_b", "suite_new", "suite_mine", "suite_missing", "suite_z"])
orders = st.builds(
    lambda project, what: Order(project, "staging", *what),
    projects,
    cases.map(lambda found: (tuple(found), None)) | suites.map(lambda suite: ((), suite)),
)
stories = st.lists(st.tuples(organizations, orders), max_size=15)


class Owners:
    """The owner of each ID by the contract: one organization, or none for an ID with `missing`."""

    def __init__(self, references: str) -> None:
        self.open = references == "open"
        self.owners = {**DATA.cases, **{one.id: one.organization for one in DATA.projects}}
        self.owners |= {"suite_a": "org_a", "suite_b": "org_b"}
        self.suites = dict(DATA.suites)
        self.projects = {"org_a": ["proj_a"], "org_b": ["proj_b"]}

    def takes(self, organization: str, name: str) -> bool:
        """Whether an organization may refer to an ID."""
        owner = self.owners.get(name, organization if self.open else "")
        return owner == organization and "missing" not in name

    def resolve(self, organization: str, order: Order) -> tuple[str, str] | tuple[str, ...]:
        """The cases, or the reason and the param of the refusal."""
        if not self.takes(organization, order.project_id):
            return "project_not_found", "project_id"
        for place, case in enumerate(order.test_case_ids):
            if not self.takes(organization, case):
                return "test_case_not_found", f"test_case_ids[{place}]"
        found = order.test_case_ids
        suite = order.test_suite_id
        if suite is not None:
            word = suite.removeprefix("suite_")
            found = self.suites.get(suite, (f"tc_{word}_001", f"tc_{word}_002", f"tc_{word}_003"))
            if not self.takes(organization, suite) or not self.all_free(organization, found):
                return "test_suite_not_found", "test_suite_id"
            self.suites[suite] = found
        if order.project_id not in self.owners:
            self.projects[organization].append(order.project_id)
        self.owners |= dict.fromkeys([order.project_id, *found, *([suite] if suite else [])], organization)
        return found

    def all_free(self, organization: str, names: Iterable[str]) -> bool:
        """Whether none of these belongs to another organization."""
        return all(self.owners.get(name, organization) == organization for name in names)


def resolve(catalogue: Catalogue, organization: str, order: Order) -> tuple[str | None, ...]:
    """The cases, or the reason and the param of the refusal."""
    try:
        return catalogue.resolve(organization, order, 10_000)
    except Refused as refused:
        return refused.reason, refused.param


@given(st.sampled_from(["open", "strict"]), stories)
def test_a_catalogue_is_a_dict_of_owners(references: str, story: list[tuple[str, Order]]) -> None:
    """Orders are resolved or refused by the owners of their IDs, and a refused order changes nothing."""
    catalogue, model = Catalogue(DATA, 10_000, references=References(references)), Owners(references)
    for organization, order in story:
        expected = model.resolve(organization, order)
        assert resolve(catalogue, organization, order) == expected
        for one in ("org_a", "org_b"):
            assert [project.id for project in catalogue.projects(one)] == model.projects[one]


@given(stories)
def test_strict_references_make_nothing(story: list[tuple[str, Order]]) -> None:
    """Under strict references only the IDs of the data exist, whatever a request names."""
    catalogue = Catalogue(DATA, 10_000, references=References.STRICT)
    for organization, order in story:
        try:
            found = catalogue.resolve(organization, order, 10_000)
        except Refused:
            continue
        assert {DATA.cases[case] for case in found} == {organization}
    assert [len(catalogue.projects(one)) for one in ("org_a", "org_b")] == [1, 1]


@pytest.mark.parametrize("references", ["open", "strict"])
def test_a_missing_id_never_exists(references: str) -> None:
    """An ID that contains `missing` does not exist, even if the data holds it."""
    data = SeedData(DATA.organizations, (), (Project("proj_missing", "org_a", "Gone", 0),), {"tc_missing": "org_a"})
    catalogue = Catalogue(data, 0, references=References(references))
    with pytest.raises(Refused, match="project_not_found"):
        catalogue.resolve("org_a", Order("proj_missing", "staging", ("tc_missing",)), 0)


@given(
    st.from_regex(r"\Asuite_([A-Za-z0-9_-]{1,10}|[A-Za-z0-9_-]{58,64})\Z").filter(lambda name: "missing" not in name)
)
@example("suite_" + "a" * 60)
@example("suite_" + "a" * 61)
@example("suite_" + "a" * 64)
def test_a_suite_of_any_name_holds_valid_cases(suite: str) -> None:
    """A created suite holds three cases with valid IDs that derive from its ID, however long that is."""
    catalogue = Catalogue(SeedData(DATA.organizations, ()), 0, references=References.OPEN)
    found = catalogue.resolve("org_a", Order("proj_a", "staging", (), suite), 0)
    assert len(set(found)) == 3
    assert all(CASE.fullmatch(case) for case in found)
    word = suite.removeprefix("suite_")
    assert [case[-4:] for case in found] == ["_001", "_002", "_003"]
    assert all(word.startswith(case.removeprefix("tc_")[:-4]) for case in found)
    assert len(word) > 60 or found[0] == f"tc_{word}_001"
    assert catalogue.resolve("org_a", Order("proj_a", "staging", (), suite), 0) == found


def test_projects_are_in_the_order_of_their_age() -> None:
    """Projects are listed in the order of their creation, oldest first, whatever their order in the data."""
    ages = {"proj_c": 1, "proj_a": 3, "proj_b": 2}
    data = SeedData(DATA.organizations, (), tuple(Project(name, "org_a", name, age) for name, age in ages.items()))
    found = Catalogue(data, 10, references=References.STRICT).projects("org_a")
    assert [(one.id, one.created_at) for one in found] == [("proj_a", 7), ("proj_b", 8), ("proj_c", 9)]


def test_projects_are_as_old_as_the_data_says() -> None:
    """A project of the data is older than the world; a created project is as old as its first run."""
    catalogue = Catalogue(DATA, 10_000, references=References.OPEN)
    catalogue.resolve("org_a", Order("proj_new", "staging", ("tc_a",)), 12_345)
    catalogue.resolve("org_a", Order("proj_new", "staging", ("tc_a",)), 99_999)
    found = [(one.id, one.name, one.created_at) for one in catalogue.projects("org_a")]
    assert found == [("proj_a", "A", 8_000), ("proj_new", "new", 12_345)]
