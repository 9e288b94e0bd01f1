"""The story, told with the models that datamodel-code-generator makes, and httpx."""

from __future__ import annotations

import datetime as dt

import httpx
from steps import RECEIVER, SECRET_LENGTH, Case, Story
from zof_models import (
    ArtifactPage,
    CreatedWebhook,
    CreateWebhook,
    ErrorResponse,
    EventTypeChoice,
    ExportedResults,
    ExportFormat,
    ExportResults,
    ResultPage,
    RunDetail,
    RunPage,
    StartRun,
    WebhookEnvelope,
    WebhookEvent,
    WebhookPage,
)

story = Story()


def connect(base: str, key: str) -> httpx.Client:
    """A client of an emulator."""
    return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {key}"})


client = connect(story.base, story.key)
order = StartRun(project_id="proj_abc123", environment="staging", test_case_ids=[str(case) for case in Case])


def start(by: httpx.Client) -> httpx.Response:
    """Start the run of the story."""
    body = order.model_dump(mode="json", exclude_none=True)
    return by.post("/runs", json=body, headers={"Idempotency-Key": "once"})


def export(kind: ExportFormat) -> httpx.Response:
    """Export the results of the run."""
    body = ExportResults(format=kind, run_id=story.run).model_dump(mode="json", exclude_none=True)
    return client.post("/results/export", json=body)


@story.step("start")
def _start() -> None:
    run = RunDetail.model_validate_json(start(client).content)
    assert isinstance(run.created_at.root, dt.datetime)
    assert run.started_at is None
    story.run = run.id.root


@story.step("retry")
def _retry() -> None:
    assert RunDetail.model_validate_json(start(client).content).id.root == story.run


@story.step("poll")
def _poll() -> None:
    status = "queued"
    while status in {"queued", "running"}:
        run = RunDetail.model_validate_json(client.get(f"/runs/{story.run}").content)
        status = run.status.root
    assert status == "failed"
    assert isinstance(run.completed_at.root, dt.datetime)


@story.step("page")
def _page() -> None:
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = RunPage.model_validate_json(client.get("/runs", params={"limit": "1", **cursor}).content)
        seen += [run.id.root for run in page.data]
        if not page.has_more:
            break
        cursor = {"starting_after": str(page.next_cursor.root)}
    assert len(seen) == len(set(seen)) == 3


@story.step("results")
def _results() -> None:
    found = ResultPage.model_validate_json(client.get("/results", params={"run_id": story.run}).content).data
    assert [one.failure_summary.category.root for one in found if one.failure_summary] == ["assertion"]


@story.each_artifact(
    lambda: [
        (one.content_type, one.id.root, one.sha256)
        for one in ArtifactPage.model_validate_json(client.get(f"/runs/{story.run}/artifacts").content).data
    ]
)
def _artifact(name: str) -> bytes:
    return client.get(f"/artifacts/{name}/content").content


@story.step("export json")
def _export_json() -> None:
    assert len(ExportedResults.model_validate_json(export(ExportFormat.json).content).data) == len(Case)


@story.step("export csv")
def _export_csv() -> None:
    assert export(ExportFormat.csv).text.count("\r\n") == len(Case) + 1


@story.step("webhook")
def _webhook() -> None:
    wanted = CreateWebhook(url=RECEIVER, events=[EventTypeChoice.run_completed])
    answer = client.post("/webhooks", json=wanted.model_dump(mode="json", exclude_none=True))
    created = CreatedWebhook.model_validate_json(answer.content)
    assert len(created.secret.root) >= SECRET_LENGTH
    answer = client.get("/webhooks")
    assert WebhookPage.model_validate_json(answer.content).data[0].id == created.id
    assert "secret" not in answer.text


@story.step("webhook test")
def _webhook_test() -> None:
    newest = WebhookPage.model_validate_json(client.get("/webhooks").content).data[0].id.root
    event = WebhookEnvelope.model_validate_json(client.post(f"/webhooks/{newest}/test").content).root
    assert isinstance(event, WebhookEvent)
    assert event.type.root == "run.completed"


def read_code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, from its model."""
    return answer.status_code, ErrorResponse.model_validate_json(answer.content).error.code.root


def list_until_refused() -> httpx.Response:
    """The answer to one request more than the rate limit admits."""
    while (answer := client.get("/runs")).status_code != httpx.codes.TOO_MANY_REQUESTS:
        pass
    return answer


story.errors(
    None,
    read_code,
    {
        400: lambda: client.get("/runs", params={"starting_after": "made-up"}),
        401: lambda: connect(story.base, "zof_test_nobody").get("/runs"),
        403: lambda: start(connect(story.base, "zof_test_viewer")),
        404: lambda: client.get("/runs/run_none"),
        409: lambda: client.post(f"/runs/{story.run}/cancel"),
        429: list_until_refused,
    },
)


@story.step("unknown status")
def _unknown_status() -> None:
    answer = connect(story.altered, story.other_key).get("/runs/run_sample_passed")
    assert RunDetail.model_validate_json(answer.content).status.root == "paused"


@story.step("unknown code")
def _unknown_code() -> None:
    assert read_code(connect(story.altered, story.other_key).get("/runs/run_none")) == (404, "vanished")
