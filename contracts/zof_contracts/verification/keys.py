"""Tells a wrong key from a defect: whether the target knows each key, and in which organization.

A key that the target does not know, or that belongs to another organization than its option says, is a mistake of the
user and breaks no rule. Whether a key is expired or lacks a permission shows only in the requests that the rules are
about: findings of these rules name the option (`zof_contracts.report.doubts`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from zof_contracts.target.budget import Stopped, WrongArgument
from zof_contracts.target.client import Unanswered
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.target.client import Client

_UNAUTHORIZED: Final = 401
_LARGEST_PAGE: Final = 100
_OTHER: Final = "other-org"
_EXPIRED: Final = "expired"
_TWO_KEYS: Final = frozenset({"readonly", "no-webhooks", "no-projects"})
"""The keys of which one meets the need `two-keys`."""


class KeyCheck:
    """Requests one list with each key, and observes which organizations the answers show."""

    def __init__(self, client: Client, base: str) -> None:
        """`base` is the address of the target as errors name it."""
        self._client = client
        self._base = base
        self._same = frozenset(client.target.keys) - {"main", _OTHER, _EXPIRED}
        """The keys that must belong to the organization of the main key."""
        self._other = ""
        """The organization in which the key of another organization starts runs; empty if it is not known."""
        self._own = ""
        """The organization of the main key; empty as long as it is not known."""
        self._projects: set[str] | None = None
        """The projects that the main key lists; None as long as they were not requested."""

    def check_keys(self, rules: Collection[Rule]) -> None:
        """Try each key that the rules need.

        Raises:
            WrongArgument: the target refuses a key, or the key belongs to the wrong organization.
        """
        try:
            self._try_keys(self._list_needed(rules))
        except WrongArgument:
            raise
        except (Stopped, Unreachable):
            return  # the first probe meets the same obstacle, and the report says so

    def _try_keys(self, names: Collection[str]) -> None:
        own = next((_list_organizations(each) for each in self._client.journal if each.operation == "listRuns"), set())
        for name in names:
            with suppress(Unanswered):
                page = self._client.get("/runs", key=name, limit=1)
                if page.response.status == _UNAUTHORIZED:
                    raise WrongArgument(f"{self._base} refuses the key of --key-{name} with 401: give a valid key")
                shown = _list_organizations(page)
                if name == _OTHER or own & shown:
                    continue
                if own and shown:
                    self._refuse_organization(name, min(shown), min(own))
                self._compare_projects(name)
        if _OTHER in names:
            self._start_in_other_organization()

    def __call__(self, exchange: Exchange) -> None:
        """Compare the organizations in which runs are started with two keys.

        Raises:
            WrongArgument: a key belongs to the wrong organization.
        """
        request = exchange.request
        organization = exchange.response.fields.get("organization_id")
        if exchange.operation != "startRun" or not exchange.response.ok or not isinstance(organization, str):
            return
        if request.key == "main":
            self._own = self._own or organization
            if self._other == self._own:
                raise WrongArgument(
                    f"the keys of --key and --key-{_OTHER} both belong to the organization {organization}: "
                    f"give a key of another organization with --key-{_OTHER}"
                )
        elif request.key in self._same and self._own and organization != self._own:
            self._refuse_organization(request.key, organization, self._own)

    def _list_needed(self, rules: Collection[Rule]) -> list[str]:
        """The keys besides the main one that the rules need, and that must be valid."""
        needs = {need for rule in rules for need in rule.needs}
        needed = {need.removeprefix("key-") for need in needs if need.startswith("key-")}
        needed |= _TWO_KEYS if "two-keys" in needs else set()
        return [name for name in self._client.target.keys if name in needed and name != _EXPIRED]

    def _compare_projects(self, name: str) -> None:
        """Refuse a key that lists none of the projects of the main key."""
        if self._projects is None:
            self._projects = _list_projects(self._client.get("/projects", limit=_LARGEST_PAGE)) or set()
        if not self._projects:
            return
        listed = _list_projects(self._client.get("/projects", key=name, limit=_LARGEST_PAGE))
        if listed is not None and not listed & self._projects:
            raise WrongArgument(
                f"the key of --key-{name} lists none of the projects that --key lists: "
                "give a key of the same organization"
            )

    def _start_in_other_organization(self) -> None:
        """Start a run with the key of another organization, since no list shows for certain whose key it is."""
        with suppress(Unanswered):
            started = self._client.start(key=_OTHER)
            organization = started.response.fields.get("organization_id")
            if started.response.ok and isinstance(organization, str):
                self._other = organization

    def _refuse_organization(self, name: str, organization: str, own: str) -> None:
        raise WrongArgument(
            f"the key of --key-{name} belongs to the organization {organization}, and that of --key to {own}: "
            f"give a key of the same organization with --key-{name}"
        )


def _list_organizations(exchange: Exchange) -> set[str]:
    """The organizations of the runs in a list."""
    return {str(item["organization_id"]) for item in exchange.response.items if item.get("organization_id")}


def _list_projects(page: Exchange) -> set[str] | None:
    """The projects in a list; None if the list is not complete, or was refused."""
    if not page.response.ok or page.response.fields.get("has_more") is not False:
        return None
    return {str(item.get("id")) for item in page.response.items}
