"""Reads scenarios: makes a `Scenario` of a JSON object that satisfies the schema, and reports contradictions in it."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.endpoints import MOST_ENDPOINTS, EventType, parse_authority
from zof_emulator.core.faults import FaultRule
from zof_emulator.core.fields import InvalidField, suggest
from zof_emulator.core.instants import DAY, HOUR, MINUTE, SECOND
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.outcome_rules import LogText, OutcomeRule, OutcomeRules, OwnFile, Timing
from zof_emulator.core.refusal import Refused
from zof_emulator.core.scenario import PastRuns, Problem, Scenario, ScenarioError
from zof_emulator.core.scenario_schema import MOST_CASES, MOST_PAST_RUNS, MOST_RESULTS, MOST_WAITING, PROPERTIES
from zof_emulator.core.tenants import (
    DEFAULT,
    NEVER_EXISTS,
    PERMITS,
    Key,
    Organization,
    Project,
    Role,
    SampleWebhook,
    SeedData,
    derive_cases,
    digest_secret,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    Node = Mapping[str, Any]
    Path = tuple[str | int, ...]

_UNITS: Final = {"ms": 1, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
_MOST_WORK_MS: Final = 50 * 365 * DAY
"""The longest time that the runs of the past may take one after another, so that they began after 1970."""
_LATEST_PAST_MS: Final = 20 * 365 * DAY
_GENERATED_LENGTH: Final = 16
_MAGIC: Final = {"image/png": b"\x89PNG\r\n\x1a\n", "application/zip": b"PK", "application/xml": b"<"}
_SCHEDULES: Final = ("nth", "first", "every", "percent")
_SHARES: Final = ("failed_percent", "error_percent", "canceled_percent")
_REFERRED_TO: Final = frozenset({("base",), ("organizations",), ("suites",)})
"""The parts without which other parts cannot be judged."""
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


def read_scenario(value: Any, environments: Sequence[str] | None = None) -> Scenario:  # noqa: ANN401  JSON
    """The scenario in its JSON form: the name `default` or `empty`, or an object that satisfies the schema.

    `environments` are the labels that all organizations have besides their own. If they are given, a run in another
    environment is a mistake; if not, its organization has that environment too.

    Raises:
        ScenarioError: the scenario contradicts itself, or names what it does not hold.
        ValueError: the name is not known.
    """
    if not isinstance(value, dict):
        for known in (Scenario.DEFAULT, Scenario.EMPTY):
            if value == known.name:
                return known
        raise ValueError(f"invalid scenario {value!r}: use default, empty, or an object")
    return _Reader(value, environments).read()


def find_contradictions(
    value: Node, environments: Sequence[str], invalid: Collection[tuple[str | int, ...]]
) -> list[Problem]:
    """The mistakes of a scenario in which some parts and entries of parts, `invalid`, do not satisfy the schema.

    These parts and entries are passed over. Nothing is found if what others refer to is among them.
    """
    if any(path[:1] in _REFERRED_TO or not path for path in invalid):
        return []
    rest = {name: one for name, one in value.items() if (name,) not in invalid}
    reader = _Reader({"name": "", **rest}, environments, invalid)
    reader.read_parts()
    return reader.problems


def parse_span(text: str) -> int:
    """The length of a span of time such as `30d`, in ms."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz").rstrip(" ")
    return int(digits) * _UNITS[text[len(digits) :].strip()]


class _Reader:
    """Makes the parts of a scenario one after another, and collects the mistakes."""

    def __init__(
        self, value: Node, environments: Sequence[str] | None, invalid: Collection[tuple[str | int, ...]] = ()
    ) -> None:
        self._value = value
        self._environments = environments
        self._invalid = invalid
        self.problems: list[Problem] = []
        """The mistakes so far."""
        self._base = value.get("base", "empty")
        based = self._base != "none"
        self._organizations: dict[str, Organization] = {one.id: one for one in DEFAULT.organizations} if based else {}
        self._keys: dict[str, Key] = {one.digest: one for one in DEFAULT.keys} if based else {}
        self._projects: dict[str, Project] = {one.id: one for one in DEFAULT.projects} if based else {}
        self._cases: dict[str, str] = dict(DEFAULT.cases) if based else {}
        self._suites: dict[str, tuple[str, ...]] = dict(DEFAULT.suites) if based else {}
        self._owners: dict[str, str] = {one.id: one.organization for one in self._projects.values()} | self._cases
        self._owners |= {suite: self._cases[cases[0]] for suite, cases in self._suites.items()}
        self._first = ""

    def read(self) -> Scenario:
        """The scenario.

        Raises:
            ScenarioError: there are mistakes.
        """
        webhooks, rules, faults, runs = self.read_parts()
        if self.problems:
            raise ScenarioError(self.problems)
        has_samples = self._base == "default"
        data = SeedData(
            tuple(self._organizations.values()),
            tuple(self._keys.values()),
            tuple(self._projects.values()),
            self._cases,
            self._suites,
            DEFAULT.samples if has_samples else (),
            (*(DEFAULT.webhooks if has_samples else ()), *webhooks),
        )
        text = json.dumps(_remove_secrets(self._value, faults), ensure_ascii=False)
        return Scenario(self._value["name"], text, data, runs, rules, faults, has_samples or bool(webhooks))

    def read_parts(self) -> tuple[list[SampleWebhook], OutcomeRules, tuple[FaultRule, ...], tuple[PastRuns, ...]]:
        """The parts that are read from other parts; mistakes are collected in `problems`."""
        self._read_organizations()
        self._read_keys()
        self._read_names()
        self._check_samples()
        webhooks = self._read_webhooks()
        rules = self._read_rules()
        return webhooks, rules, self._read_faults(), self._read_runs(rules)

    def _report(self, path: Path, message: str) -> None:
        self.problems.append(Problem(path, message))

    def _entries(self, part: str) -> Iterable[tuple[Path, Any]]:
        entries = (((part, index), one) for index, one in enumerate(self._value.get(part, ())))
        return ((path, one) for path, one in entries if path not in self._invalid)

    def _unique(self, part: str, name: Callable[[Any], str]) -> None:
        """Report the entries of a part that have the name of an earlier one."""
        seen = Counter[str]()
        for path, one in self._entries(part):
            seen[name(one)] += 1
            if seen[name(one)] == 2:  # noqa: PLR2004  once is enough
                self._report(path, "the same entry stands above; give each once")

    # --- organizations, keys, names

    def _read_organizations(self) -> None:
        self._unique("organizations", lambda one: str(one["id"]))
        for _, one in self._entries("organizations"):
            usual = Organization(one["id"])
            labels = tuple(one.get("environments", usual.environments))
            self._organizations[one["id"]] = replace(usual, environments=labels)
        given = self._value.get("organizations")
        self._first = given[0]["id"] if given else next(iter(self._organizations), "")
        if not self._organizations:
            self._report(("base",), "base is none, so the scenario must list organizations")

    def _owner(self, path: Path, one: Node) -> str:
        """The organization of an entry, the first one if it names none; reported if there is no such organization."""
        name: str = one.get("organization", self._first)
        if name not in self._organizations and self._organizations:
            neighbour = suggest(name, self._organizations)
            self._report((*path, "organization"), f"there is no organization {name!r}{neighbour}")
        return name

    def _read_keys(self) -> None:
        self._unique("keys", lambda one: digest_secret(one["secret"]) if "secret" in one else str(one.get("digest")))
        for path, one in self._entries("keys"):
            if ("secret" in one) == ("digest" in one):
                self._report(path, "a key has exactly one of secret and digest")
                continue
            if ("role" in one) == ("permissions" in one):
                self._report(path, "a key has exactly one of role and permissions")
                continue
            permits = PERMITS[Role(one["role"])] if "role" in one else frozenset(one["permissions"])
            span = one.get("expires_in")
            key = Key(
                one.get("secret", ""),
                self._owner(path, one),
                permits,
                one.get("note", ""),
                revoked=one.get("revoked", False),
                expires_in=None if span is None else parse_span(span),
                known_digest=one.get("digest", ""),
            )
            self._keys[key.digest] = key
        self._keys = {name: key for name, key in self._keys.items() if key.organization in self._organizations}

    def _own(self, path: Path, name: str, organization: str) -> bool:
        """Make a project, a case or a suite belong to an organization; say whether it was not known before."""
        if NEVER_EXISTS in name:
            self._report(path, f"{name!r} never exists, because it contains {NEVER_EXISTS!r}")
            return False
        owner = self._owners.setdefault(name, organization)
        if owner != organization:
            self._report(path, f"{name!r} belongs to {owner}, so {organization} cannot have it")
        return True

    def _read_names(self) -> None:
        for part in ("projects", "suites"):
            self._unique(part, lambda one: str(one["id"]))
        self._unique("cases", lambda one: str(one["id"] if isinstance(one, dict) else one))
        for path, one in self._entries("projects"):
            self._projects.pop(one["id"], None)
            self._owners.pop(one["id"], None)
            organization = self._owner(path, one)
            if self._own(path, one["id"], organization):
                age = parse_span(one.get("age", "1d"))
                self._check_past((*path, "age"), age)
                self._projects[one["id"]] = Project(one["id"], organization, one.get("name") or _name(one["id"]), age)
        for path, given in self._entries("cases"):
            one = given if isinstance(given, dict) else {"id": given}
            self._add_case(path, one["id"], self._owner(path, one))
        for path, one in self._entries("suites"):
            self._add_suite(path, one["id"], tuple(one["cases"]), self._owner(path, one))

    def _add_case(self, path: Path, case: str, organization: str) -> None:
        if self._own(path, case, organization):
            self._cases.setdefault(case, organization)

    def _add_suite(self, path: Path, suite: str, cases: Sequence[str], organization: str) -> None:
        if self._own(path, suite, organization):
            for index, case in enumerate(cases):
                self._add_case((*path, "cases", index), case, organization)
            self._suites[suite] = tuple(cases)

    def _check_samples(self) -> None:
        """Report the environments and projects without which the base `default` cannot have its ended runs."""
        for sample in DEFAULT.samples if self._base == "default" else ():
            for path, one in self._entries("organizations"):
                labels = (*self._organizations[one["id"]].environments, *(self._environments or ()))
                is_free = self._environments is None or sample.environment in labels
                if one["id"] == sample.organization and not is_free:
                    self._report_sample((*path, "environments"), f"the environment {sample.environment}")
            for path, one in self._entries("projects"):
                if one["id"] == sample.project_id and self._owners.get(one["id"]) != sample.organization:
                    self._report_sample(path, f"the project {one['id']} of {sample.organization}")

    def _report_sample(self, path: Path, needed: str) -> None:
        self._report(path, f"the ended runs of the base default need {needed}; keep it, or use the base empty")

    def _check_past(self, path: Path, span: int) -> None:
        if span > _LATEST_PAST_MS:
            self._report(path, "it is too long ago; use at most 7300d")

    # --- webhooks

    def _read_webhooks(self) -> list[SampleWebhook]:
        self._unique("webhooks", lambda one: str(one.get("id", id(one))))
        found = []
        for number, (path, one) in enumerate(self._entries("webhooks"), 1):
            word = one.get("id", f"wh_scenario_{number}").removeprefix("wh_")
            organization = self._owner(path, one)
            self._check_word((*path, "id"), word)
            try:
                parse_authority(one["url"])
            except Refused as refused:
                self._report((*path, "url"), f"{one['url']!r} is not {refused.values['expected']}")
            events = tuple(EventType(name) for name in one["events"])
            found.append(SampleWebhook(word, organization, one["url"], events, DAY, one.get("secret")))
        for organization, count in Counter(one.organization for one in found).items():
            if count >= MOST_ENDPOINTS:
                self._report(("webhooks",), f"{organization} has {count} webhooks; use fewer than {MOST_ENDPOINTS}")
        return found

    def _check_word(self, path: Path, word: str) -> None:
        if len(word) == _GENERATED_LENGTH and set(word) <= _HEXADECIMAL:
            self._report(path, "16 hexadecimal digits are the form of generated IDs; choose another ID")

    # --- outcomes

    def _read_rules(self) -> OutcomeRules:
        rules = tuple(self._read_rule(path, one) for path, one in self._entries("outcomes"))
        given = self._value.get("timing", {})
        timing = Timing(**given)
        if timing.shortest_ms > timing.longest_ms:
            self._report(("timing",), f"shortest_ms {timing.shortest_ms} exceeds longest_ms {timing.longest_ms}")
            timing = Timing()
        longest: int = PROPERTIES["timing"]["properties"]["longest_ms"]["maximum"]
        if timing.longest_ms * timing.slow_factor > longest:
            self._report(("timing",), f"longest_ms times slow_factor exceeds {longest} ms")
            timing = Timing()
        return OutcomeRules(rules, timing)

    def _read_rule(self, path: Path, one: Node) -> OutcomeRule:
        schedules = [name for name in _SCHEDULES if name in one]
        if len(schedules) > 1:
            self._report((*path, schedules[1]), f"give only one of {', '.join(_SCHEDULES)}")
        for name in ("message", "category"):
            if name in one and one.get("status") == "passed":
                self._report((*path, name), f"a case that passed has no {name}; leave it out, or change the status")
        nth = one.get("nth", [])
        return OutcomeRule(
            case=one.get("case", ""),
            suite=one.get("suite", ""),
            environment=one.get("environment", ""),
            nth=tuple(nth) if isinstance(nth, list) else (nth,),
            first=one.get("first", 0),
            every=one.get("every", 0),
            percent=one.get("percent", 100),
            status=Status(one["status"]) if "status" in one else None,
            **self._read_durations((*path, "duration_ms"), one.get("duration_ms")),
            message=one.get("message", ""),
            category=one.get("category", ""),
            log=tuple(_log_text(line) for line in one.get("log", ())),
            artifacts=self._read_files((*path, "artifacts"), one.get("artifacts", ())),
        )

    def _read_durations(self, path: Path, given: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        if given is None:
            return {}
        shortest, longest = given if isinstance(given, list) else (given, given)
        if shortest > longest:
            self._report(path, f"{shortest} exceeds {longest}; give the shorter duration first")
        return {"shortest_ms": min(shortest, longest), "longest_ms": longest}

    def _read_files(self, path: Path, given: Sequence[Node]) -> tuple[OwnFile, ...]:
        files = []
        for index, one in enumerate(given):
            here = (*path, index)
            if ("text" in one) == ("base64" in one):
                self._report(here, "an artifact has exactly one of text and base64")
                continue
            try:
                content = one["text"].encode() if "text" in one else b64decode(one["base64"], validate=True)
            except (Error, UnicodeEncodeError):
                self._report(here, "the content is neither valid base64 nor valid text")
                continue
            if not content.startswith(_MAGIC[one["content_type"]]):
                self._report(here, f"the content does not begin as {one['content_type']} does")
            files.append(OwnFile(one["name"], one["type"], one["content_type"], content))
        return tuple(files)

    def _read_faults(self) -> tuple[FaultRule, ...]:
        rules = []
        for path, one in self._entries("faults"):
            try:
                rules.append(FaultRule.from_json(one))
            except InvalidField as error:
                self._report((*path, *split_path(error.path)), str(error))
        return tuple(rules)

    # --- runs

    def _read_runs(self, rules: OutcomeRules) -> tuple[PastRuns, ...]:
        self._unique("runs", lambda one: str(one.get("id", id(one))))
        runs = [found for path, one in self._entries("runs") if (found := self._read_run(path, one)) is not None]
        waiting = sum(one.count for one in runs if one.is_queued)
        ended = [one for one in runs if not one.is_queued]
        if waiting > MOST_WAITING:
            self._report(("runs",), f"{waiting} runs are queued; use at most {MOST_WAITING}")
        if sum(one.count for one in ended) > MOST_PAST_RUNS:
            self._report(("runs",), f"{sum(one.count for one in ended)} runs; use at most {MOST_PAST_RUNS}")
        results = sum(one.count * len(one.cases) for one in runs)
        if results > MOST_RESULTS:
            self._report(("runs",), f"{results} cases in all runs; use at most {MOST_RESULTS}")
        if sum(one.count * len(one.cases) for one in ended) * rules.longest_ms > _MOST_WORK_MS:
            self._report(("runs",), "they would take more than 50 years; use fewer runs or cases, or shorter durations")
        return tuple(runs)

    def _read_run(self, path: Path, one: Node) -> PastRuns | None:
        organization = self._owner(path, one)
        if organization not in self._organizations:
            return None
        self._add_project((*path, "project"), one["project"], organization)
        environment = one.get("environment", self._organizations[organization].environments[0])
        self._add_environment((*path, "environment"), environment, organization)
        cases = self._read_cases(path, one, organization)
        count, shares = one.get("count", 1), [one.get(name, 0) for name in _SHARES]
        is_queued = one.get("state") == "queued"
        word = one.get("id", "").removeprefix("run_")
        self._check_word((*path, "id"), word)
        if word and (count > 1 or is_queued):
            self._report((*path, "id"), "only a single ended run has an ID of its own")
        if sum(shares) > 100:  # noqa: PLR2004  percent
            self._report((*path, "failed_percent"), f"the shares add up to {sum(shares)} percent")
        misplaced = [name for name in (*_SHARES, "over", "age") if is_queued and name in one]
        if misplaced:
            self._report((*path, misplaced[0]), "a queued run has no past; leave this out")
        over = parse_span(one.get("over", "1d")) if count > 1 or "over" in one else 0
        age = parse_span(one.get("age", "0s"))
        self._check_past((*path, "over"), over + age)
        return PastRuns(
            organization=organization,
            project_id=one["project"],
            environment=environment,
            suite=one.get("suite"),
            cases=cases,
            count=count,
            over_ms=over,
            age_ms=age,
            failed_percent=shares[0],
            error_percent=shares[1],
            canceled_percent=shares[2],
            has_shares=any(name in one for name in _SHARES),
            is_queued=is_queued,
            word=word,
        )

    def _add_environment(self, path: Path, environment: str, organization: str) -> None:
        """Add an environment to an organization; reported if it is known which ones there are, and this is none."""
        found = self._organizations[organization]
        if self._environments is not None:
            labels = (*found.environments, *self._environments)
            if environment not in labels:
                neighbour = suggest(environment, labels)
                self._report(path, f"{organization} has no environment {environment!r}{neighbour}")
        self._organizations[organization] = found.add_environments((environment,))

    def _add_project(self, path: Path, project: str, organization: str) -> None:
        is_new = project not in self._owners
        if self._own(path, project, organization) and is_new:
            self._projects[project] = Project(project, organization, _name(project), DAY)

    def _read_cases(self, path: Path, one: Node, organization: str) -> tuple[str, ...]:
        suite = one.get("suite")
        if (suite is None) == ("cases" not in one):
            self._report(path, "a run has exactly one of suite and cases")
            return ()
        if suite is None:
            for index, case in enumerate(one["cases"]):
                self._add_case((*path, "cases", index), case, organization)
            return tuple(one["cases"])
        if suite not in self._suites:
            self._add_suite((*path, "suite"), suite, derive_cases(suite), organization)
        else:
            self._own((*path, "suite"), suite, organization)
        return self._suites.get(suite, ())[:MOST_CASES]


def _name(project: str) -> str:
    return project.removeprefix("proj_")


def _log_text(line: Any) -> LogText:  # noqa: ANN401  JSON
    if isinstance(line, dict):
        return LogText(line.get("level", "info"), line["message"])
    return LogText("info", line)


def split_path(path: str) -> Path:
    """The steps of a path such as `effect.latency_ms[0]`."""
    return tuple(int(one) if one.isdigit() else one for one in path.replace("[", ".").replace("]", "").split("."))


def _remove_secrets(value: Node, faults: Sequence[FaultRule]) -> dict[str, Any]:
    """The object with a digest in the place of each key, and a mask in the place of each webhook's secret."""
    changed = dict(value)
    if faults:
        changed["faults"] = [one.to_json() for one in faults]
    if "keys" in value:
        changed["keys"] = [_remove_secret(one) for one in value["keys"]]
    if "webhooks" in value:
        changed["webhooks"] = [
            one | {"secret": mask_secret(one["secret"])} if "secret" in one else one for one in value["webhooks"]
        ]
    return changed


def _remove_secret(key: Node) -> dict[str, Any]:
    rest = {name: one for name, one in key.items() if name != "secret"}
    return {"digest": digest_secret(key["secret"]), **rest} if "secret" in key else rest


def mask_secret(secret: str) -> str:
    """A secret of 16 characters or more as text of the same length, in the form in which the journal masks secrets."""
    if secret.startswith("masked-"):
        return secret
    return f"masked-{sha256(secret.encode(errors='replace')).hexdigest()[:12]}"[: len(secret)].ljust(len(secret), "*")
