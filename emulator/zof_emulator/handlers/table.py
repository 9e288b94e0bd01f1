"""The table of the handlers by operation ID."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from zof_emulator.handlers import artifacts, projects, results, runs, webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Reply, Request

TABLE: Final[Mapping[str, Callable[[World, Request], Reply]]] = MappingProxyType(
    {
        "listRuns": runs.list_runs,
        "startRun": runs.start_run,
        "getRun": runs.get_run,
        "cancelRun": runs.cancel_run,
        "getRunLogs": runs.get_run_logs,
        "listRunArtifacts": runs.list_run_artifacts,
        "listResults": results.list_results,
        "getResult": results.get_result,
        "listResultArtifacts": results.list_result_artifacts,
        "exportResults": results.export_results,
        "downloadArtifact": artifacts.download_artifact,
        "listProjects": projects.list_projects,
        "listWebhooks": webhooks.list_webhooks,
        "createWebhook": webhooks.create_webhook,
        "testWebhook": webhooks.send_test,
    },
)
