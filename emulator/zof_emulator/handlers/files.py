"""Files: an artifact's name, media type and bytes, rendered when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_emulator.render import har, junit, png, trace

if TYPE_CHECKING:
    from zof_emulator.core.artifacts import Artifact
    from zof_emulator.core.results import Result
    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """An artifact's bytes, and what the API calls them."""

    type: str
    name: str
    media_type: str
    content: bytes


_KINDS: Final = {
    "trace": ("trace", "{}.trace.zip", "application/zip"),
    "screenshot": ("screenshot", "{}.png", "image/png"),
    "har": ("export", "{}.har", "application/json"),
    "junit": ("export", "{}.junit.xml", "application/xml"),
}


def name_of(world: World, run: Run, artifact: Artifact) -> str:
    """The name of an artifact's file."""
    about = world.names.run(run.number) if artifact.index is None else run.cases[artifact.index]
    return _KINDS[artifact.kind][1].format(about)


def render(world: World, run: Run, artifact: Artifact) -> RenderedFile:
    """The file of an artifact; the same bytes each time."""
    kind, _, media_type = _KINDS[artifact.kind]
    return RenderedFile(kind, name_of(world, run, artifact), media_type, _content(world, run, artifact))


def _content(world: World, run: Run, artifact: Artifact) -> bytes:
    if artifact.index is not None:
        render = png.screenshot if artifact.kind == "screenshot" else trace.archive
        return render(world.result(run, artifact.index))
    results: list[Result] = [world.result(run, index) for index in range(len(run.cases))]
    name, ended_at = world.names.run(run.number), artifact.created_at
    if artifact.kind == "har":
        return har.log(name, results, ended_at)
    return junit.report(name, run.project_id, run.environment, results, run.started_at, ended_at)
