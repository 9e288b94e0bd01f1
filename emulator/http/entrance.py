"""The entrance: which corridor a request walks down, told by its path; and who is let in from elsewhere."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from emulator.http.control import PREFIX

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from emulator.http.app import Corridor
    from emulator.http.stage import Stage


class Entrance:
    """An emulator as an ASGI application: the API's corridor, the emulator's own, or the pages behind them."""

    def __init__(self, pages: ASGIApp, *, stage: Stage, api: Corridor, control: Corridor, trusting: bool) -> None:
        """`trusting` lets every client in, since the address it came by is a loopback one."""
        self.stage = stage
        self.api = api
        self.control = control
        self._pages = pages
        self._trusting = trusting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith("/v1/"):
            await self.api(scope, receive, send)
        elif path.startswith(PREFIX + "/"):
            await (self.control if self._trusted(scope) else self.control.shut("not_loopback"))(scope, receive, send)
        elif _is_page(path) and scope["method"] in {"GET", "HEAD"} and self._trusted(scope):
            await self._pages(scope, receive, send)
        else:
            await self.api(scope, receive, send)

    def _trusted(self, scope: Scope) -> bool:
        if self._trusting:
            return True
        address = (scope.get("client") or ("",))[0]
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
        return (mapped or found).is_loopback


def _is_page(path: str) -> bool:
    folder, _, name = path[1:].partition("/")
    return path == "/" or (folder == "runs" and name != "" and "/" not in name)
