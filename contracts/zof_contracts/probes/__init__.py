"""The probes: for every rule the fewest requests that judge it.

Each module lists its own `PROBES`; this one joins them in an order in which one request serves many rules. The first
probe makes the run that most of the others look at, and the last one moves the clock far.
"""

from __future__ import annotations

from typing import Final

from zof_contracts.probes import (
    access,
    artifacts,
    elapsed,
    idempotency,
    invalid_requests,
    lifecycle,
    limits,
    page_sizes,
    pages,
    results,
    runs,
    strings,
    webhooks,
)
from zof_contracts.probes.context import Probe, ProbeContext, Unsettled

__all__ = ["PROBES", "Probe", "ProbeContext", "Unsettled"]

PROBES: Final = (
    *lifecycle.PROBES,
    *runs.PROBES,
    *results.PROBES,
    *artifacts.PROBES,
    *pages.PROBES,
    *idempotency.PROBES,
    *access.PROBES,
    *invalid_requests.PROBES,
    *webhooks.PROBES,
    *strings.PROBES,
    *page_sizes.PROBES,
    *limits.PROBES,
    *elapsed.PROBES,
)
"""All probes, in order."""
