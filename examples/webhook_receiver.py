"""A receiver of Zof webhooks in Starlette: python -m uvicorn webhook_receiver:app --port 8000."""

import hashlib
import hmac
import json
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = os.environ["ZOF_WEBHOOK_SECRET"].encode()
seen: set[str] = set()


async def receive(request: Request) -> Response:
    """Refuse what is not signed with the secret; handle each event once, since duplicates happen."""
    body = await request.body()
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), request.headers.get("X-Zof-Signature", "").encode()):
        return Response(status_code=401)
    event = json.loads(body)
    if event["id"] not in seen:
        seen.add(event["id"])
        print(event["type"], event["data"]["object"]["id"], flush=True)
    return Response(status_code=204)


app = Starlette(routes=[Route("/webhooks", receive, methods=["POST"])])
