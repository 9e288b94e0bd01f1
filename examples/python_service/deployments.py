"""A service that lets a version be deployed when its test run has passed. Zof calls it back when a run has ended."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    import httpx
    from starlette.requests import Request


@dataclass
class Deployments:
    """The versions that were submitted, and whether each may be deployed."""

    zof: httpx.AsyncClient
    """A client with the base URL and the key of the Zof API."""
    webhook_secret: bytes
    project: str
    suite: str
    states: dict[str, str] = field(default_factory=dict)
    """By version: `testing`, `approved` or `blocked`."""
    versions: dict[str, str] = field(default_factory=dict)
    """By ID of a run: the version that it tests."""
    events: set[str] = field(default_factory=set)
    """The IDs of the events that were handled; an event may be delivered twice."""

    async def submit(self, request: Request) -> Response:
        """Start the test run of a version; a version that is submitted twice is tested once."""
        version = request.path_params["version"]
        order = {"project_id": self.project, "environment": "staging", "test_suite_id": self.suite}
        answer = await self.zof.post("/runs", json=order, headers={"Idempotency-Key": version})
        if answer.status_code == 429:
            return Response(status_code=503, headers={"Retry-After": answer.headers["Retry-After"]})
        answer.raise_for_status()
        self.versions[answer.json()["id"]] = version
        self.states.setdefault(version, "testing")
        return await self.show(request)

    async def show(self, request: Request) -> Response:
        """Tell whether a version may be deployed."""
        version = request.path_params["version"]
        state = self.states.get(version)
        return JSONResponse({"version": version, "state": state}, 404 if state is None else 200)

    async def receive(self, request: Request) -> Response:
        """Handle an event of Zof: when a run has ended, read how."""
        body = await request.body()
        expected = hmac.new(self.webhook_secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), request.headers.get("X-Zof-Signature", "").encode()):
            return Response(status_code=401)
        event = json.loads(body)
        run = event["data"]["object"]["run_id"]
        if event["id"] not in self.events and event["type"] == "run.completed" and run in self.versions:
            ended = (await self.zof.get(f"/runs/{run}")).raise_for_status().json()
            self.states[self.versions[run]] = "approved" if ended["status"] == "passed" else "blocked"
        self.events.add(event["id"])
        return Response(status_code=204)

    def make_app(self) -> Starlette:
        """The service as an ASGI application."""
        return Starlette(
            routes=[
                Route("/versions/{version}", self.submit, methods=["POST"]),
                Route("/versions/{version}", self.show),
                Route("/zof-events", self.receive, methods=["POST"]),
            ]
        )
