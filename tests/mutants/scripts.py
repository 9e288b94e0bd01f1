"""Runs the printed script of a finding against a new deployment of its mutant, and looks for the finding in its output.

The finding is seen if the script gets the same answers as the verification did, apart from IDs and times; or if the
checks find it again in what the script got; or if the script prints every value that the finding quotes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.report.curl import name_key_variable, write_script

from tests.contracts.shell import Shell
from tests.mutants.catalogue import target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_contracts.evidence.exchange import Response
    from zof_contracts.evidence.findings import Finding

    from tests.mutants.layer import Mutant

_IDS: Final = re.compile(r'\b(?:req|run|res|art|log|evt|wh)_[\w-]+|(?<="next_cursor":")[^"]+')
_TIMES: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d")
_VALUES: Final = re.compile(r'"[^"]*"|(?<!\w)\d{3,}(?!\w)')
_SECONDS: Final = re.compile(r"(Retry-After )\d+")
"""A number that depends on when in a window the request is sent."""
_VARYING: Final = frozenset({"date", "x-ratelimit-reset", "x-ratelimit-remaining", "content-length"})


def is_seen(mutant: Mutant, finding: Finding) -> bool:
    """Whether the script of a finding, run as printed against a new deployment, shows the finding."""
    deployment = target(mutant)
    keys = deployment.keys
    shell = Shell(deployment, {name_key_variable(name): key for name, key in keys.items()})
    shell.run(write_script(finding.trace, base=deployment.base, keys=keys, can_move_clock=True))
    return (
        _normalize(shell.answers) == _normalize([exchange.response for exchange in finding.trace])
        or _is_judged(finding, shell.answers, Ledger(deployment, rules=[finding.rule]))
        or _is_printed(finding, shell)
    )


def _normalize(answers: Sequence[Response]) -> list[tuple[int, str]]:
    """The answers with each ID replaced by a number of its own, and without times."""
    numbers: dict[str, str] = {}

    def normalize_one(answer: Response) -> tuple[int, str]:
        lines = [f"{name}: {value}" for name, value in answer.headers if name not in _VARYING]
        text = _TIMES.sub("TIME", "\n".join((*lines, answer.body.decode("utf-8", "backslashreplace"))))
        return answer.status, _IDS.sub(lambda found: numbers.setdefault(found[0], f"#{len(numbers)}"), text)

    return [normalize_one(answer) for answer in answers]


def _is_judged(finding: Finding, answers: Sequence[Response], ledger: Ledger) -> bool:
    checks = (ConformanceCheck(ledger), HistoryCheck(ledger))
    for exchange, answer in zip(finding.trace, answers, strict=True):
        for check in checks:
            check(replace(exchange, response=answer))
    return finding.rule.name in {each.rule.name for each in ledger.findings.values()}


def _is_printed(finding: Finding, shell: Shell) -> bool:
    got = _SECONDS.sub(r"\1", finding.got)
    values = [value for value in _VALUES.findall(got) if not _IDS.search(value) and not _TIMES.search(value)]
    output = "\n".join(shell.printed)
    is_same_status = shell.answers[-1].status == finding.trace[-1].response.status
    return is_same_status and all(value in output or value.strip('"') in output for value in values)
