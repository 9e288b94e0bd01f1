"""The story, told by the client that openapi-python-client makes."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import Any

from steps import RECEIVER, SECRET_LENGTH, Case, Story
from zof_opc import AuthenticatedClient
from zof_opc.api.artifacts import download_artifact
from zof_opc.api.results import export_results, list_results
from zof_opc.api.runs import cancel_run, get_run, list_run_artifacts, list_runs, start_run
from zof_opc.api.webhooks import create_webhook, list_webhooks, test_webhook
from zof_opc.models import (
    CreateWebhook,
    ErrorResponse,
    EventTypeChoice,
    ExportFormat,
    ExportResults,
    RunDetail,
    StartRun,
    WebhookEvent,
)
from zof_opc.types import UNSET, File

story = Story()


def connect(base: str, key: str) -> AuthenticatedClient:
    """A client of an emulator."""
    return AuthenticatedClient(base_url=base, token=key)


client = connect(story.base, story.key)
order = StartRun(project_id="proj_abc123", environment="staging", test_case_ids=[str(case) for case in Case])


@story.step("start")
def _start() -> None:
    run = start_run.sync(client=client, body=order, idempotency_key="once")
    assert isinstance(run, RunDetail)
    assert isinstance(run.created_at, dt.datetime)
    assert run.started_at is None
    story.run = run.id


@story.step("retry")
def _retry() -> None:
    assert start_run.sync(client=client, body=order, idempotency_key="once").id == story.run


@story.step("poll")
def _poll() -> None:
    while (run := get_run.sync(story.run, client=client)).status in {"queued", "running"}:
        pass
    assert run.status == "failed"
    assert isinstance(run.completed_at, dt.datetime)


@story.step("page")
def _page() -> None:
    seen: list[str] = []
    cursor: Any = UNSET
    while True:
        page = list_runs.sync(client=client, limit=1, starting_after=cursor)
        seen += [run.id for run in page.data]
        cursor = page.next_cursor
        if not page.has_more:
            break
    assert len(seen) == len(set(seen)) == 3


@story.step("results")
def _results() -> None:
    found = list_results.sync(client=client, run_id=story.run).data
    assert [one.failure_summary.category for one in found if one.failure_summary is not None] == ["assertion"]


@story.each_artifact(
    lambda: [(one.content_type, one.id, one.sha256) for one in list_run_artifacts.sync(story.run, client=client).data]
)
def _artifact(name: str) -> bytes:
    found = download_artifact.sync(name, client=client)
    assert isinstance(found, File)
    return found.payload.read()


@story.step("export json")
def _export_json() -> None:
    wanted = ExportResults(format_=ExportFormat.JSON, run_id=story.run)
    assert len(export_results.sync(client=client, body=wanted).data) == len(Case)


@story.step("export csv")
def _export_csv() -> None:
    wanted = ExportResults(format_=ExportFormat.CSV, run_id=story.run)
    assert isinstance(export_results.sync(client=client, body=wanted), str)


@story.step("webhook")
def _webhook() -> None:
    wanted = CreateWebhook(url=RECEIVER, events=[EventTypeChoice.RUN_COMPLETED])
    created = create_webhook.sync(client=client, body=wanted)
    assert len(created.secret) >= SECRET_LENGTH
    listed = list_webhooks.sync(client=client).data
    assert listed[0].id == created.id
    assert not any("secret" in one.to_dict() for one in listed)


@story.step("webhook test")
def _webhook_test() -> None:
    event = test_webhook.sync(list_webhooks.sync(client=client).data[0].id, client=client)
    assert isinstance(event, WebhookEvent)
    assert event.type_ == "run.completed"


def read_code(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal, from its model."""
    assert isinstance(answer.parsed, ErrorResponse)
    return int(answer.status_code), answer.parsed.error.code


def list_until_refused() -> Any:
    """The answer to one request more than the rate limit admits."""
    while (answer := list_runs.sync_detailed(client=client)).status_code != HTTPStatus.TOO_MANY_REQUESTS:
        pass
    return answer


story.errors(
    None,
    read_code,
    {
        400: lambda: list_runs.sync_detailed(client=client, starting_after="made-up"),
        401: lambda: list_runs.sync_detailed(client=connect(story.base, "zof_test_nobody")),
        403: lambda: start_run.sync_detailed(client=connect(story.base, "zof_test_viewer"), body=order),
        404: lambda: get_run.sync_detailed("run_none", client=client),
        409: lambda: cancel_run.sync_detailed(story.run, client=client),
        429: list_until_refused,
    },
)


@story.step("unknown status")
def _unknown_status() -> None:
    found = get_run.sync("run_sample_passed", client=connect(story.altered, story.other_key))
    assert found.status == "paused"


@story.step("unknown code")
def _unknown_code() -> None:
    found = get_run.sync_detailed("run_none", client=connect(story.altered, story.other_key))
    assert read_code(found) == (404, "vanished")
