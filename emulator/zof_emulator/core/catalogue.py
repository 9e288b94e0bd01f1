"""The catalogue: the projects, cases and suites, their owners, and the rules that create new ones."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from zof_emulator.core.config import References
from zof_emulator.core.refusal import Refused
from zof_emulator.core.tenants import NEVER_EXISTS, derive_cases

if TYPE_CHECKING:
    from collections.abc import KeysView, Mapping, Sequence

    from zof_emulator.core.tenants import SeedData


class Order(NamedTuple):
    """The cases to run: either explicit case IDs or a suite."""

    project_id: str
    environment: str
    test_case_ids: tuple[str, ...] = ()
    test_suite_id: str | None = None


@dataclass(frozen=True, slots=True)
class NamedProject:
    """A project of an organization."""

    number: int
    """Its place in the order in which the projects of the organization were created; 0 is the first."""
    id: str
    name: str
    created_at: int
    """In ms since the Unix epoch."""


class Catalogue:
    """The IDs that requests may name. An ID belongs to one organization and does not exist for the others."""

    __slots__ = ("_given", "_known", "_owners", "_projects", "_suites", "_uses", "references")

    def __init__(self, data: SeedData, now: int, *, references: References) -> None:
        self.references = references
        """The treatment of an ID that the catalogue does not hold."""
        self._owners: dict[str, str] = dict(data.cases)
        self._suites: dict[str, tuple[str, ...]] = {}
        self._projects: dict[str, list[NamedProject]] = {one.id: [] for one in data.organizations}
        self._known: dict[str, dict[str, str]] = {one.id: {} for one in data.organizations}
        """The IDs that each organization has named before, each mapped to the interned string."""
        for suite, cases in data.suites.items():
            self._owners[suite] = data.cases[cases[0]]
            self._suites[suite] = cases
        self._uses: dict[str, int] = {}
        """How many runs name each project, case and suite."""
        for project in sorted(data.projects, key=lambda one: -one.age_ms):
            self._owners[project.id] = project.organization
            self._add_project(project.organization, project.id, project.name, now - project.age_ms)
        self._given = frozenset(self._owners)
        """The projects, cases and suites that the data holds: they stay, whether or not a run names them."""

    @property
    def organizations(self) -> KeysView[str]:
        """The IDs of all organizations."""
        return self._projects.keys()

    def to_json(self) -> dict[str, Any]:
        """The catalogue as JSON."""
        return {
            "owners": self._owners,
            "given": sorted(self._given),
            "suites": {suite: list(cases) for suite, cases in self._suites.items()},
            "projects": {
                organization: [[one.number, one.id, one.name, one.created_at] for one in projects]
                for organization, projects in self._projects.items()
            },
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Replace the content by a value that `to_json` returned."""
        self._owners = {intern(name): intern(owner) for name, owner in saved["owners"].items()}
        self._suites = {intern(suite): tuple(map(intern, cases)) for suite, cases in saved["suites"].items()}
        self._projects = {
            organization: [NamedProject(*row) for row in rows] for organization, rows in saved["projects"].items()
        }
        self._known = {organization: {} for organization in self._projects}
        self._given = frozenset(saved["given"])
        self._uses = {}

    def use(self, project: str, suite: str | None, cases: Sequence[str]) -> None:
        """Count a run that names a project, these cases, and a suite if it does."""
        uses = self._uses
        uses[project] = uses.get(project, 0) + 1
        for name in cases:
            uses[name] = uses.get(name, 0) + 1
        if suite is not None:
            uses[suite] = uses.get(suite, 0) + 1

    def release(self, project: str, suite: str | None, cases: Sequence[str]) -> list[str]:
        """Count a run no more, and forget the names that no other run names.

        Returns:
            These names. A project is listed until `unlist_projects` is called.
        """
        uses, gone = self._uses, []
        for name in (project, *cases) if suite is None else (project, *cases, suite):
            left = uses[name] - 1
            if left:
                uses[name] = left
                continue
            del uses[name]
            if name not in self._given:
                self._known[self._owners.pop(name)].pop(name, None)
                self._suites.pop(name, None)
                gone.append(name)
        return gone

    def unlist_projects(self, organization: str) -> None:
        """Remove the projects of an organization that are forgotten from its list."""
        self._projects[organization] = [one for one in self._projects[organization] if one.id in self._owners]

    def projects(self, organization: str) -> list[NamedProject]:
        """The projects of an organization, oldest first."""
        return self._projects[organization]

    def page(self, organization: str, below: int, limit: int) -> tuple[list[NamedProject], bool]:
        """The newest `limit` projects of an organization with a number less than `below`, and whether more follow."""
        projects = self._projects[organization]
        end = bisect_left(projects, below, key=lambda project: project.number)
        start = max(0, end - limit)
        return projects[start:end][::-1], start > 0

    def _add_project(self, organization: str, project: str, name: str, created_at: int) -> None:
        projects = self._projects[organization]
        number = projects[-1].number + 1 if projects else 0
        projects.append(NamedProject(number, intern(project), name, created_at))

    def resolve(self, organization: str, order: Order, now: int) -> tuple[str, ...]:
        """Return the IDs of the cases to run, and create the unknown IDs where references are open.

        Raises:
            Refused: an ID does not exist for the organization. Nothing is created then.
        """
        known = self._known[organization]
        if order.test_case_ids and order.project_id in known:
            named = tuple([known.get(case, "") for case in order.test_case_ids])
            if "" not in named:  # the organization has named all of these before, so there is nothing to create
                return named
        if not self._exists(order.project_id, organization):
            raise Refused("project_not_found", "project_id", id=order.project_id)
        for index, case in enumerate(order.test_case_ids):
            if not self._exists(case, organization):
                raise Refused("test_case_not_found", f"test_case_ids[{index}]", id=case)
        cases = order.test_case_ids or self._suite(organization, order.test_suite_id or "")
        new = order.project_id not in self._owners
        self._own(order.project_id, organization)
        if new:
            name = order.project_id.removeprefix("proj_")
            self._add_project(organization, order.project_id, name, now)
        for case in cases:
            self._own(case, organization)
        if order.test_suite_id is not None:
            self._own(order.test_suite_id, organization)
            self._suites.setdefault(order.test_suite_id, cases)
            return self._suites[order.test_suite_id]
        return tuple(map(intern, cases))

    def _exists(self, name: str, organization: str) -> bool:
        owner = self._owners.get(name)
        may_be_new = owner is None and self.references is References.OPEN
        return (owner == organization or may_be_new) and NEVER_EXISTS not in name

    def _suite(self, organization: str, suite: str) -> tuple[str, ...]:
        if not self._exists(suite, organization):
            raise Refused("test_suite_not_found", "test_suite_id", id=suite)
        if suite in self._suites:
            return self._suites[suite]
        cases = tuple(map(intern, derive_cases(suite)))
        if any(self._owners.get(case, organization) != organization for case in cases):
            raise Refused("test_suite_not_found", "test_suite_id", id=suite)
        return cases

    def _own(self, name: str, organization: str) -> None:
        if name not in self._owners:
            self._owners[intern(name)] = organization
        self._known[organization][name] = intern(name)
