"""Files: the name, media type and bytes of an artifact, rendered when a client requests them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_emulator.core.artifacts import ArtifactKind
from zof_emulator.render import har, junit, png, trace

if TYPE_CHECKING:
    from zof_emulator.core.artifacts import Artifact
    from zof_emulator.core.results import Result
    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The content of an artifact, with its type, name and media type in the API."""

    type: str
    name: str
    media_type: str
    content: bytes


_KINDS: Final = {
    ArtifactKind.TRACE: ("trace", "{}.trace.zip", "application/zip"),
    ArtifactKind.SCREENSHOT: ("screenshot", "{}.png", "image/png"),
    ArtifactKind.HAR: ("export", "{}.har", "application/json"),
    ArtifactKind.JUNIT: ("export", "{}.junit.xml", "application/xml"),
}


def choose_name(world: World, run: Run, artifact: Artifact) -> str:
    """The file name of an artifact."""
    if artifact.file is not None:
        return artifact.file.name
    stem = world.names.run(run.number) if artifact.index is None else run.cases[artifact.index]
    return _KINDS[artifact.kind][1].format(stem)


def render(world: World, run: Run, artifact: Artifact) -> RenderedFile:
    """The file of an artifact. The bytes are the same each time."""
    own = artifact.file
    if own is not None:
        return RenderedFile(own.type, own.name, own.content_type, own.content)
    wire_type, _, media_type = _KINDS[artifact.kind]
    return RenderedFile(wire_type, choose_name(world, run, artifact), media_type, _render_content(world, run, artifact))


def _render_content(world: World, run: Run, artifact: Artifact) -> bytes:
    if artifact.index is not None:
        draw = png.render_screenshot if artifact.kind is ArtifactKind.SCREENSHOT else trace.render_archive
        return draw(world.result(run, artifact.index))
    results: list[Result] = [world.result(run, index) for index in range(len(run.cases))]
    name = world.names.run(run.number)
    if artifact.kind is ArtifactKind.HAR:
        return har.render_log(name, results, artifact.created_at)
    return junit.render_report(name, run, results)
