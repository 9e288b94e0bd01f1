"""The pages for browsers: a start page and a page for each run, as HTML without scripts; all values are escaped."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from zof_emulator.core import artifacts, logs, tenants
from zof_emulator.core.instants import SECOND, format_http_date, format_rfc3339
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers import files, views
from zof_emulator.http.decode import find_link_base, read_headers
from zof_emulator.http.dispatch import HOSTED_WORLD
from zof_emulator.http.world_registry import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from starlette.requests import Request
    from starlette.responses import Response

    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.http.world_registry import WorldRegistry

_NOTHING: Final = "&mdash;"
_MOST_LINKS: Final = 50
_MOST_RUNS: Final = 10
_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.4rem}code,pre{font:14px/1.5 ui-monospace,monospace;background:#f3f4f6;border-radius:4px}
code{padding:.1em .3em}pre{padding:1rem;overflow-x:auto}table{border-collapse:collapse;width:100%;margin:1rem 0}
td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d8dce1;vertical-align:top}
.passed{color:#116329}.failed,.error{color:#a40e26}.canceled,.queued,.running{color:#7a4b00}
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#14171a}code,pre{background:#22272d}
td,th{border-color:#343a41}a{color:#8ab4f8}.passed{color:#56d364}.failed,.error{color:#ff7b72}
.canceled,.queued,.running{color:#e3b341}}
"""


class Pages:
    """The pages of all worlds."""

    def __init__(self, worlds: WorldRegistry, lock: AbstractContextManager[object], public_url: str = "") -> None:
        """`lock` is held while a page is made.

        Links begin with `public_url`; if it is empty, with the scheme and host that the request used.
        """
        self._worlds = worlds
        self._lock = lock
        self._public_url = public_url

    async def show_home(self, request: Request) -> Response:
        """The start page: what the emulator is, its keys, newest runs and worlds."""
        with self._lock:
            return self._render_home(request)

    async def show_run(self, request: Request) -> Response:
        """The page of a run; the run may belong to any organization."""
        with self._lock:
            return self._render_run_page(request)

    def _render_home(self, request: Request) -> Response:
        hosted, root = self._find_world_and_root(request)
        mount = root + hosted.mount
        base = find_link_base(self._public_url, request.scope, read_headers(request.scope)) + hosted.mount
        world = hosted.settle_slice()
        known = tenants.DEFAULT.keys if world.config.scenario.data else world.keys.values()
        public = {key.secret for key in known}
        keys = (
            (
                f"<code>{escape(key.secret)}</code>" if key.secret in public else "in the scenario",
                escape(key.organization),
                escape(key.note),
            )
            for key in world.keys.values()
        )
        example = next((key.secret for key in world.keys.values() if key.secret in public), "$ZOF_API_KEY")
        curl = f'curl -H "Authorization: Bearer {example}" {base}{views.PREFIX}/runs'
        title = f"Zof emulator, world {hosted.name}" if hosted.name else "Zof emulator"
        others = ((f'<a href="{root}{one.mount}/">{escape(one.name or DEFAULT)}</a>',) for one in self._worlds)
        return self._render_page(
            hosted,
            title,
            f"""<p>This is a stand-in for the Zof API, in memory and on this machine alone: no account, no network, and
nothing here is the vendor's service. The API is under <code>{escape(base + views.PREFIX)}</code>.</p>
<pre>{escape(curl)}</pre>
{_render_table(("Key", "Organization", "May"), keys)}
<p><a href="{mount}/_emulator/openapi.json">The contract (OpenAPI 3.1)</a> ·
<a href="{mount}/_emulator/version">version</a> · <a href="{mount}/_emulator/clock">clock</a> ·
<a href="{mount}/_emulator/journal">journal</a></p>
{_render_table(("Newest runs", "Status", "Created"), _list_newest_runs(world, mount))}
{_render_table(("Worlds",), islice(others, _MOST_LINKS))}""",
        )

    def _render_run_page(self, request: Request) -> Response:
        hosted, root = self._find_world_and_root(request)
        mount = root + hosted.mount
        world = hosted.settle_slice()
        try:
            run = world.any_run(request.path_params["id"])
        except Refused:
            nothing = f"<p>No run has this ID. <a href='{mount}/'>Back</a></p>"
            return self._render_page(hosted, "No such run", nothing, status=404)
        page = _render_run(world, run) + f"<p><a href='{mount}/'>Back</a></p>"
        return self._render_page(hosted, world.names.run(run.number), page, refresh=not run.has_ended)

    def _find_world_and_root(self, request: Request) -> tuple[HostedWorld, str]:
        """The world of a page, which the dispatcher found, and the path under which browsers reach the emulator."""
        return request.scope[HOSTED_WORLD], urlsplit(self._public_url).path or request.scope["root_path"]

    def _render_page(
        self, hosted: HostedWorld, title: str, body: str, *, status: int = 200, refresh: bool = False
    ) -> Response:
        reload = '<meta http-equiv="refresh" content="2">' if refresh else ""
        date = format_http_date(hosted.world.now // SECOND)
        headers = {"x-request-id": hosted.make_outside_id(), "date": date, "cache-control": "no-store"}
        return HTMLResponse(
            f"<!doctype html><html lang=en><meta charset=utf-8>{reload}"
            '<meta name="viewport" content="width=device-width">'
            f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>",
            status,
            headers,
        )


def _render_run(world: World, run: Run) -> str:
    facts = (
        ("Status", _render_status(run.status)),
        ("Organization", escape(run.organization)),
        ("Project", escape(run.project_id)),
        ("Environment", escape(run.environment)),
        ("Suite", escape(run.test_suite_id or "none")),
        ("Created", format_rfc3339(run.created_at)),
        ("Started", format_rfc3339(run.started_at) if run.started_at is not None else _NOTHING),
        ("Completed", format_rfc3339(run.completed_at) if run.completed_at is not None else _NOTHING),
        ("Duration", _format_ms(run.duration_ms)),
    )
    cases = (
        (
            f"<code>{escape(case)}</code>",
            _render_status(run.case_status(index)),
            _format_ms(run.case_duration_ms(index)),
        )
        for index, case in enumerate(run.cases)
    )
    rules = world.outcome_rules
    lines = (logs.make_line(run, place, rules) for place in range(logs.count_lines(run, rules)))
    log = "\n".join(f"{format_rfc3339(one.at)} {one.level:7} {one.message}" for one in lines)
    slots = world.filter_unexpired(run, artifacts.list_slots(run, rules))
    stored = (artifact for slot in slots if (artifact := artifacts.find_artifact(run, slot, rules)) is not None)
    rows = ((escape(files.choose_name(world, run, artifact)), artifact.kind) for artifact in stored)
    return (
        f"{_render_table((), facts)}<h2>Cases</h2>{_render_table(('Case', 'Status', 'Duration'), cases)}"
        f"<h2>Log</h2><pre>{escape(log)}</pre><h2>Artifacts</h2>{_render_table(('Name', 'Kind'), rows)}"
    )


def _list_newest_runs(world: World, mount: str) -> Iterable[tuple[str, str, str]]:
    for run in islice(reversed(world.runs.values()), _MOST_RUNS):
        name = world.names.run(run.number)
        yield (
            f'<a href="{mount}/runs/{escape(name)}"><code>{escape(name)}</code></a>',
            _render_status(run.status),
            format_rfc3339(run.created_at),
        )


def _render_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>" if head else ""
    return (
        f"<table>{top}{''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)}</table>"
    )


def _render_status(status: str) -> str:
    return f'<b class="{status}">{status}</b>'


def _format_ms(duration: int | None) -> str:
    return _NOTHING if duration is None else f"{duration} ms"
