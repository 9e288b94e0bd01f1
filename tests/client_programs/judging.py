"""Judges what a rig recorded."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from zof_contracts.client_checks.judgement import judge_clients
from zof_contracts.evidence.findings import Verdict
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import Skips
from zof_contracts.traffic.sources import read_source

if TYPE_CHECKING:
    from zof_contracts.evidence.verification import Verification


def judge(recording: bytes) -> Verification:
    """The verification of the clients in a recording."""
    keys, skips = KeyNames(), Skips()
    return judge_clients(read_source(io.BytesIO(recording), keys, skips, name="recording"), keys, skips)


def list_broken(verification: Verification) -> set[str]:
    """The rules that were broken."""
    return {each.rule.name for each in verification.results if each.verdict in {Verdict.VIOLATED, Verdict.DIFFERS}}


def list_kept(verification: Verification) -> set[str]:
    """The rules that were kept."""
    return {each.rule.name for each in verification.results if each.verdict is Verdict.KEPT}


def explain(verification: Verification) -> str:
    """The findings, one a line."""
    return "\n".join(f"{one.rule.name}: expected {one.expected}; got {one.got}" for one in verification.findings)
