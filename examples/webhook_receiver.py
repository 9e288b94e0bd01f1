"""A receiver of Zof webhooks in Starlette: python -m uvicorn webhook_receiver:app --port 8000."""

import hashlib
import hmac
import json
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

seen: set[str] = set()


async def receive(request: Request) -> Response:
    """Answer 204 to a genuine event, which is printed once, and 401 to a forgery."""
    body, given = await request.body(), request.headers.get("X-Zof-Signature", "")
    expected = hmac.new(os.environ["ZOF_WEBHOOK_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    is_genuine = hmac.compare_digest(expected.encode(), given.encode())
    if is_genuine and (event := json.loads(body))["id"] not in seen:
        seen.add(event["id"])
        print(event["type"], event["data"]["object"]["id"], flush=True)
    return Response(status_code=204 if is_genuine else 401)


app = Starlette(routes=[Route("/webhooks", receive, methods=["POST"])])
