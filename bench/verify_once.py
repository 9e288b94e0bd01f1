"""Verifies a server of the bench once, on a real clock, and prints the figures as JSON.

`python -m bench.verify_once PORT WORKERS EXAMPLES` is run by `bench.verification` in a process of its own.
"""

from __future__ import annotations

import json
import sys
import time

from zof_contracts.evidence.findings import Verdict
from zof_contracts.target.target import Target
from zof_contracts.verification.run import run

_KEYS = {
    "main": "zof_test_admin",
    "readonly": "zof_test_viewer",
    "other-org": "zof_test_other",
    "expired": "zof_test_expired",
    "ci": "zof_test_ci",
}


def main(port: int, workers: int, examples: int) -> None:
    """Verify the server, whose clock is left alone, and print what it took and what came of it."""
    target = Target(
        url=f"http://127.0.0.1:{port}",
        keys=_KEYS,
        failing_case="tc_pay_fail_001",
        error_case="tc_platform_error_001",
        workers=workers,
        find_clock=False,
    )
    began, used = time.perf_counter(), time.process_time()
    verification = run(target, seed=1, max_examples=examples)
    if verification.stopped or verification.error:
        sys.exit(verification.stopped or verification.error)
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - used,
        "requests": len(verification.journal),
        "runs": len(verification.receipt),
        "exercised": sum(each.verdict is not Verdict.NOT_EXERCISED for each in verification.results),
        "findings": sorted({each.rule.name for each in verification.findings}),
    }
    print(json.dumps(figures))  # noqa: T201  the result


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
