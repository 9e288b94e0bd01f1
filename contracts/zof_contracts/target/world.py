"""A world of the verification's own, where the target is an emulator that offers one.

`fork_world(client)` copies the world that the target's address selects, so that a verification leaves its runs and its
clock as they were. A deployment shows that it has worlds by answering `POST /_emulator/worlds/{name}/fork` with 201, as
zof-emulator does; only deployments on this machine are asked.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zof_contracts.target.budget import Stopped
from zof_contracts.target.transport import NoAnswer, Unreachable

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Response
    from zof_contracts.target.client import Client
    from zof_contracts.target.target import Target

_WORLD: Final = re.compile(r"(?P<root>.*)/w/(?P<name>[^/]+)")
"""The path of an address that selects a world."""
_DEFAULT: Final = "default"
_PATIENCE: Final = 5.0
"""Seconds to wait for an answer."""
_CREATED: Final = 201
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class ForkedWorld:
    """A copy of the target's world."""

    target: Target
    """The target at the address of the copy."""
    root: Target
    """The target at the address of the emulator."""
    name: str

    def delete(self, client: Client) -> bool:
        """Delete the copy; returns whether that succeeded."""
        client.account.reserved_at_end = 0
        answer = _send_to_emulator(client, self.root, "DELETE", f"/_emulator/worlds/{self.name}")
        return answer is not None and answer.status == _OK


def fork_world(client: Client) -> ForkedWorld | None:
    """Copy the world of a client's target; None if it offers no copy. The budget reserves the deletion of the copy."""
    target = client.target
    if target.is_in_process or not target.is_loopback:
        return None
    address = target.address
    prefix, name = address.path, _DEFAULT
    if (selected := _WORLD.fullmatch(address.path)) is not None:
        prefix, name = selected["root"], selected["name"]
    root = replace(target, url=str(replace(address, path=prefix)))
    copy = f"contracts-{secrets.token_hex(4)}"
    answer = _send_to_emulator(client, root, "POST", f"/_emulator/worlds/{name}/fork", {"name": copy})
    if answer is None or answer.status != _CREATED or answer.fields.get("name") != copy:
        return None
    client.account.reserved_at_end = 1
    return ForkedWorld(replace(root, url=f"{root.base}/w/{copy}"), root, copy)


def _send_to_emulator(client: Client, root: Target, method: str, path: str, body: object = None) -> Response | None:
    """Send a request to the address of the emulator; None if it was not answered or may not be sent."""
    transport = root.make_transport()
    try:
        return client.send_unrecorded(method, path, body, transport=transport, seconds=_PATIENCE)
    except (Unreachable, NoAnswer, Stopped):
        return None
    finally:
        transport.close()
