"""The probes: for every rule the fewest requests that settle it, in the order in which one request serves many rules.

Plug in: `PROBES` is the whole list, in order. The first makes the run that most of the others look at; those that
start many runs come later, then the one that uses up a rate-limit window, and last the one that moves the clock far.
"""

from __future__ import annotations

from typing import Final

from zof_contracts.probes import (
    access,
    artifacts,
    idempotency,
    invalid_requests,
    lifecycle,
    limits,
    pages,
    results,
    runs,
)
from zof_contracts.probes.context import Probe, ProbeContext, Unsettled

__all__ = ["PROBES", "Probe", "ProbeContext", "Unsettled"]

PROBES: Final = (
    Probe(
        "one run from start to end",
        lifecycle.story,
        (
            "runs.start.accepted",
            "runs.start.created",
            "runs.start.queued",
            "runs.start.echo",
            "runs.start.retrievable",
            "runs.start.location",
            "runs.url",
            "runs.progress",
            "runs.cancel.terminal-conflict",
            "runs.cancel.terminal-unchanged",
            "idempotency.replay",
            "idempotency.replay.bytes",
            "idempotency.replay.header",
            "idempotency.replay.counted",
            "logs.readable",
            "logs.follow",
            "logs.follow.complete",
            "logs.has-more",
            "results.not-before",
        ),
    ),
    Probe("a run that has ended", lifecycle.reading, ("runs.url", "logs.readable", "logs.follow", "logs.has-more")),
    Probe(
        "a cancel at once",
        runs.cancel_at_once,
        (
            "runs.start.suite",
            "runs.cancel.accepted",
            "runs.cancel.answer",
            "runs.cancel.again-conflict",
            "conventions.order.replay-before-state",
        ),
    ),
    Probe(
        "a cancel midway",
        runs.cancel_midway,
        (
            "runs.start.production",
            "runs.cancel.outcomes",
            "results.canceled-unstarted",
            "results.canceled-traceless",
        ),
    ),
    Probe("a cancel and an end that race", runs.race, ("runs.cancel.race", "conventions.body-ignored")),
    Probe(
        "more runs than there is place for",
        runs.capacity,
        ("runs.capacity", "runs.capacity.fifo", "runs.cancel.frees-place", "idempotency.without-key"),
    ),
    Probe(
        "results of a run",
        results.results,
        ("results.per-case", "results.order", "results.agree", "results.get", "results.logs-url"),
    ),
    Probe(
        "exports",
        results.exports,
        (
            "exports.formats",
            "exports.at-once",
            "exports.attachment",
            "exports.equals-list",
            "exports.csv.columns",
            "exports.csv.form",
            "exports.csv.equals-json",
            "exports.csv.defused",
            "exports.filter",
            "idempotency.export",
            "idempotency.scope.organization",
        ),
    ),
    Probe(
        "artifacts of a run",
        artifacts.artifacts,
        (
            "artifacts.listed",
            "artifacts.run-holds-all",
            "artifacts.when",
            "artifacts.retention",
            "artifacts.download",
            "artifacts.download.key",
            "artifacts.size",
            "artifacts.hash",
            "artifacts.type",
            "artifacts.attachment",
            "artifacts.content",
        ),
    ),
    Probe("every list", pages.every_list, ("pages.every-list", "projects.shape")),
    Probe(
        "walks and cursors",
        pages.walks,
        ("pages.walk", "pages.has-more", "pages.cursor.malformed", "pages.cursor.foreign"),
    ),
    Probe("a walk while runs are started", pages.walk_under_change, ("pages.walk.under-change",)),
    Probe("filters that name nothing", pages.unknown_filters, ("pages.filter.unknown-id",)),
    Probe(
        "filters of runs",
        pages.run_filters,
        (
            "runs.filter.project",
            "runs.filter.status",
            "runs.filter.date",
            "runs.filter.date.bounds",
            "runs.list-agrees",
            "pages.maximum",
            "conventions.request-id.server-made",
        ),
    ),
    Probe(
        "filters of results",
        pages.result_filters,
        ("results.filter.run", "results.filter.status", "results.filter.date"),
    ),
    Probe("runs that were left alone", runs.endings, ("runs.outcome", "runs.status.terminal")),
    Probe(
        "reused idempotency keys",
        idempotency.reuse,
        (
            "idempotency.spacing",
            "idempotency.other-body",
            "idempotency.scope.path",
        ),
    ),
    Probe("a refused start, mended", idempotency.refused_not_kept, ("idempotency.refused-not-kept",)),
    Probe("equal starts at once", idempotency.simultaneous, ("idempotency.simultaneous",)),
    Probe(
        "keys",
        access.keys,
        (
            "auth.key-required",
            "auth.key-invalid",
            "auth.key-expired",
            "auth.key-accepted",
            "auth.projects-reader",
            "conventions.order.key-before-query",
        ),
    ),
    Probe(
        "permissions",
        access.permissions,
        (
            "auth.several-keys",
            "auth.readers",
            "auth.start-permission",
            "auth.cancel-permission",
            "auth.projects-permission",
            "conventions.order.permission-before-body",
        ),
    ),
    Probe(
        "another organization",
        access.tenants,
        ("tenants.run", "tenants.result", "tenants.artifact", "tenants.lists"),
    ),
    Probe("what does not count", limits.uncounted, ("limits.uncounted", "limits.per-key")),
    Probe(
        "unknown IDs",
        invalid_requests.unknown_ids,
        ("runs.get.unknown", "results.get.unknown", "artifacts.unknown", "conventions.path-id"),
    ),
    Probe(
        "unknown paths and wrong methods",
        invalid_requests.strange_paths,
        (
            "errors.unknown-path",
            "errors.method-not-allowed",
            "conventions.order.path-before-key",
        ),
    ),
    Probe(
        "wrong queries",
        invalid_requests.wrong_queries,
        (
            "pages.limit.refused",
            "conventions.repeated-parameter",
            "conventions.unknown-parameter",
            "conventions.order.query-before-existence",
            "runs.filter.refused",
            "results.filter.refused",
            "errors.param.field",
        ),
    ),
    Probe(
        "wrong exports",
        invalid_requests.wrong_exports,
        (
            "exports.refused",
            "conventions.malformed-body",
            "conventions.null-field",
            "conventions.unknown-field",
            "conventions.not-json",
            "conventions.too-large",
            "errors.invalid-request.status",
        ),
    ),
    Probe(
        "idempotency keys of all forms",
        invalid_requests.idempotency_keys,
        (
            "idempotency.key-form",
            "idempotency.key-form.accepted",
            "errors.param.header",
            "conventions.one-fault",
        ),
    ),
    Probe(
        "wrong starts",
        invalid_requests.wrong_starts,
        (
            "runs.start.required",
            "runs.start.either",
            "runs.start.case-count",
            "runs.start.id-form",
            "runs.start.types",
            "runs.start.unknown-reference",
            "runs.start.refused-makes-nothing",
            "errors.environment.message",
            "errors.environment.param",
            "errors.param.nested",
            "conventions.missing-body",
        ),
    ),
    Probe(
        "a rate limit used up",
        limits.used_up,
        ("limits.refused", "limits.exact", "limits.retry-after.honest"),
        limits.nearly,
    ),
    Probe("a day, and ninety", idempotency.later, ("idempotency.expiry", "artifacts.expiry")),
)
"""All probes, in order."""
