"""The story, told by the client that openapi-generator makes for Python."""

from __future__ import annotations

import datetime as dt

from steps import RECEIVER, SECRET_LENGTH, Case, Story
from zof_og import ApiClient, ArtifactsApi, Configuration, ResultsApi, RunsApi, WebhooksApi
from zof_og.exceptions import ApiException
from zof_og.models import (
    CreateWebhook,
    ErrorResponse,
    EventTypeChoice,
    ExportFormat,
    ExportResults,
    RunDetail,
    StartRun,
    WebhookEvent,
)

story = Story()


def connect(base: str, key: str) -> ApiClient:
    """A client of an emulator, which reports a 429 at once; by default it waits as long as `Retry-After` says."""
    return ApiClient(Configuration(host=base, access_token=key, retries=False))


client = connect(story.base, story.key)
runs, results, artifacts = RunsApi(client), ResultsApi(client), ArtifactsApi(client)
webhooks = WebhooksApi(client)
order = StartRun(project_id="proj_abc123", environment="staging", test_case_ids=list(Case))


@story.step("start")
def _start() -> None:
    run = runs.start_run(order, idempotency_key="once")
    assert isinstance(run, RunDetail)
    assert isinstance(run.created_at, dt.datetime)
    assert run.started_at is None
    story.run = run.id


@story.step("retry")
def _retry() -> None:
    assert runs.start_run(order, idempotency_key="once").id == story.run


@story.step("poll")
def _poll() -> None:
    while (run := runs.get_run(story.run)).status in {"queued", "running"}:
        pass
    assert run.status == "failed"
    assert isinstance(run.completed_at, dt.datetime)


@story.step("page")
def _page() -> None:
    seen, cursor = [], None
    while True:
        page = runs.list_runs(limit=1, starting_after=cursor)
        seen += [run.id for run in page.data]
        cursor = page.next_cursor
        if not page.has_more:
            break
    assert len(seen) == len(set(seen)) == 3


@story.step("results")
def _results() -> None:
    failed = [one for one in results.list_results(run_id=story.run).data if one.failure_summary is not None]
    assert [one.failure_summary.category for one in failed] == ["assertion"]


@story.each_artifact(
    lambda: [(one.content_type, one.id, one.sha256) for one in runs.list_run_artifacts(story.run).data]
)
def _artifact(name: str) -> bytes:
    return bytes(artifacts.download_artifact(name))


@story.step("export json")
def _export_json() -> None:
    exported = results.export_results(ExportResults(format=ExportFormat.JSON, run_id=story.run))
    assert len(exported.data) == len(Case)


@story.step("export csv")
def _export_csv() -> None:
    exported = results.export_results(ExportResults(format=ExportFormat.CSV, run_id=story.run))
    assert isinstance(exported, str)


@story.step("webhook")
def _webhook() -> None:
    wanted = CreateWebhook(url=RECEIVER, events=[EventTypeChoice.RUN_DOT_COMPLETED])
    created = webhooks.create_webhook(wanted)
    assert len(created.secret) >= SECRET_LENGTH
    listed = webhooks.list_webhooks().data
    assert listed[0].id == created.id
    assert not any("secret" in one.to_dict() for one in listed)


@story.step("webhook test")
def _webhook_test() -> None:
    event = webhooks.test_webhook(webhooks.list_webhooks().data[0].id).actual_instance
    assert isinstance(event, WebhookEvent)
    assert event.type == "run.completed"


def read_code(error: ApiException) -> tuple[int, str]:
    """Status and code of a refusal, from its model."""
    assert isinstance(error.data, ErrorResponse)
    return error.status, error.data.error.code


story.errors(
    ApiException,
    read_code,
    {
        400: lambda: runs.list_runs_with_http_info(starting_after="made-up"),
        401: lambda: RunsApi(connect(story.base, "zof_test_nobody")).list_runs(),
        403: lambda: RunsApi(connect(story.base, "zof_test_viewer")).start_run(order),
        404: lambda: runs.get_run("run_none"),
        409: lambda: runs.cancel_run(story.run),
        429: lambda: [runs.list_runs() for _ in range(300)],
    },
)


@story.step("unknown status")
def _unknown_status() -> None:
    assert RunsApi(connect(story.altered, story.other_key)).get_run("run_sample_passed").status == "paused"


@story.step("unknown code")
def _unknown_code() -> None:
    found = None
    try:
        RunsApi(connect(story.altered, story.other_key)).get_run("run_none")
    except ApiException as error:
        found = read_code(error)
    assert found == (404, "vanished")
