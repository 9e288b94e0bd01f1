"""Checks a client in each of the situations of `zof-emulator exec --check-client`, as a test does it.

`zof-contracts client` judges the journals. It is called as a process, and needs the packages of the extra `contracts`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from inspect import iscoroutine
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.fields import suggest
from zof_emulator.journal.reactions import describe_reactions
from zof_emulator.scenarios.situations import SITUATIONS, Situation
from zof_emulator.testing.extra import describe_missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from zof_emulator.testing.world import World

_NUMBERS: Final = count(1)
"""The numbers of the worlds of situations, in this process."""
_BROKEN: Final = 1
_JUDGED: Final = frozenset({0, _BROKEN})
"""The exit statuses of `zof-contracts client` with which it has judged a client."""
_PIPELINES: Final = frozenset({"GITHUB_ACTIONS", "GITLAB_CI"})
"""Variables for which `zof-contracts client` would add its report to that of the pipeline."""


@dataclass(frozen=True, slots=True)
class ClientFinding:
    """A rule for clients that a client broke."""

    rule: str
    """The name of the rule, such as `client.retry.retry-after`."""
    verdict: str
    """`violated`, or `differs` if the rule is an assumption."""
    sentence: str
    operation: str
    expected: str
    got: str
    advice: str
    """How to change the client."""
    situations: tuple[str, ...]
    """The situations in which it was broken."""


@dataclass(frozen=True, slots=True)
class SituationResult:
    """The behaviour of a client in a situation."""

    name: str
    description: str
    error: Exception | None
    """The exception that the client raised; None if it returned."""
    reactions: tuple[str, ...]
    """The requests that it sent after each fault, one line for each fault."""
    findings: tuple[ClientFinding, ...]


@dataclass(frozen=True, slots=True)
class ClientCheck:
    """The result of a check of a client."""

    situations: Mapping[str, SituationResult]
    """The behaviour of the client by the name of the situation."""
    findings: tuple[ClientFinding, ...]
    verdicts: Mapping[str, str]
    """`kept`, `violated`, `differs` or `not exercised`, by the name of the rule."""

    @property
    def broken_rules(self) -> set[str]:
        """The names of the rules that were broken."""
        return {each.rule for each in self.findings}

    def describe(self) -> str:
        """The findings, and what the client did in the situations that show them, as text."""
        return "\n".join(self._list_lines())

    def _list_lines(self) -> Iterator[str]:
        for each in self.findings:
            yield f"{each.rule} ({each.verdict}) in {', '.join(each.situations)}: {each.sentence}"
            yield f"  {each.operation or 'a request'}: expected {each.expected}; got {each.got}"
        for name in dict.fromkeys(name for each in self.findings for name in each.situations):
            for line in self.situations[name].reactions:
                yield f"  {name}: {line}"


class BrokenClientRules(AssertionError):  # noqa: N818  it reads as what a test reports
    """A client broke rules. The message describes them; `check` is the whole result."""

    def __init__(self, check: ClientCheck) -> None:
        names = len(check.broken_rules)
        super().__init__(f"the client broke {names} rule{'' if names == 1 else 's'}\n{check.describe()}")
        self.check = check


class UnjudgedClient(Exception):  # noqa: N818  it reads as the error that it is
    """A client could not be judged: it sent nothing to the API, or `zof-contracts` cannot run."""


def check_client(
    client: Callable[[World], object],
    create_world: Callable[[str, Situation], World],
    *,
    situations: Collection[str] | None = None,
    exclude: Sequence[str] = (),
    strict: bool = False,
) -> ClientCheck:
    """Run a client once in each situation, and judge what it sent. `World.check_client` documents the arguments.

    `create_world` creates a world with this name for a situation.

    Raises:
        BrokenClientRules: the client broke rules.
        UnjudgedClient: it sent nothing, or cannot be judged.
        ValueError: there is no situation of this name.
    """
    chosen = _choose(situations)
    if missing := describe_missing_extra():
        raise UnjudgedClient(f"the client cannot be judged: {missing}")
    results: list[SituationResult] = []
    with tempfile.TemporaryDirectory(prefix="zof-emulator-") as folder:
        for situation in chosen:
            world = create_world(f"check-{next(_NUMBERS)}-{situation.name}", situation)
            try:
                results.append(_try_client(client, world, situation))
                Path(folder, f"{situation.name}.ndjson").write_bytes(world.journal.ndjson())
            finally:
                world.delete()
        options = [*(["--strict"] if strict else []), *(f"--exclude={rule}" for rule in exclude)]
        is_broken, report = _judge(Path(folder), [one.name for one in chosen], options)
    check = _read_report(report, results)
    if is_broken:
        raise BrokenClientRules(check)
    return check


def _choose(names: Collection[str] | None) -> Sequence[Situation]:
    known = [one.name for one in SITUATIONS]
    for name in names or ():
        if name not in known:
            raise ValueError(
                f"there is no situation {name!r}{suggest(name, known)}; the situations are {', '.join(known)}"
            )
    return [one for one in SITUATIONS if names is None or one.name in names]


def _try_client(client: Callable[[World], object], world: World, situation: Situation) -> SituationResult:
    """Run the client in a world. An error is raised only where nothing is provoked."""
    error: Exception | None = None
    if situation.disturbance is not None:
        world.webhooks.add_rule(situation.disturbance.value)
    try:
        returned = client(world)
    except Exception as raised:
        if not situation.is_provoking:
            raised.add_note(f"situation {situation.name}, where nothing is provoked:\n{world.journal.describe_tail()}")
            raise
        error = raised
    else:
        if iscoroutine(returned):
            returned.close()
            raise TypeError("the client is asynchronous: give a function that runs it, such as with asyncio.run")
    reactions = tuple(describe_reactions(world.journal.exchanges()))
    return SituationResult(situation.name, situation.description, error, reactions, ())


def _judge(folder: Path, names: Sequence[str], options: Sequence[str]) -> tuple[bool, Any]:
    """Have `zof-contracts client` judge the journals: whether rules are broken, and its JSON report.

    Raises:
        UnjudgedClient: it could not.
    """
    files = [f"{name}.ndjson" for name in names]
    command = [sys.executable, "-m", "zof_contracts", "client", "--report=json", "--report-dir=.", "--quiet", *options]
    done = subprocess.run(  # noqa: S603  a fixed command
        [*command, *files],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in _PIPELINES},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in _JUDGED:
        raise UnjudgedClient(f"the client could not be judged: {(done.stderr or done.stdout).strip()}")
    return done.returncode == _BROKEN, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def _read_report(report: Any, results: Sequence[SituationResult]) -> ClientCheck:  # noqa: ANN401  JSON
    """The result of the check, from the JSON report of `zof-contracts client`."""
    rules = {rule["name"]: rule for rule in report["rules"]}
    findings = tuple(
        ClientFinding(
            rule=found["rule"],
            verdict=found["verdict"],
            sentence=rules[found["rule"]]["sentence"],
            operation=place["operation"],
            expected=found["expected"],
            got=place["got"],
            advice=rules[found["rule"]]["mend"],
            situations=tuple(Path(name).stem for name in place["recordings"]),
        )
        for found in report["findings"]
        for place in (found, *found["also"])
    )
    return ClientCheck(
        situations={
            one.name: replace(one, findings=tuple(each for each in findings if one.name in each.situations))
            for one in results
        },
        findings=findings,
        verdicts={name: rule["verdict"] for name, rule in rules.items()},
    )
