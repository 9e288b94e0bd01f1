"""The operation that downloads an artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_emulator.handlers import files
from zof_emulator.handlers.messages import File, Reply, Request

if TYPE_CHECKING:
    from zof_emulator.core.world import World


def download_artifact(world: World, request: Request) -> Reply:
    """The bytes of an artifact."""
    run, artifact = world.artifact(request.organization, request.id)
    file = files.render(world, run, artifact)
    return Reply(200, File(file.media_type, file.name, lambda: (file.content,), len(file.content)))
