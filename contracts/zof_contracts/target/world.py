"""A world of the verification's own, where the target is an emulator that offers one.

`fork_world(target)` copies the world that the target's address selects, so that a verification leaves its runs and its
clock as they were. A deployment shows that it has worlds by answering `POST /_emulator/worlds/{name}/fork` with 201, as
zof-emulator does; only deployments on this machine are asked.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zof_contracts.target.transport import NoAnswer, Unreachable

if TYPE_CHECKING:
    from zof_contracts.target.target import Target

_WORLD: Final = re.compile(r"(?P<root>.*)/w/(?P<name>[^/]+)")
"""The path of an address that selects a world."""
_DEFAULT: Final = "default"
_JSON: Final = (("Content-Type", "application/json"),)
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

    def delete(self) -> bool:
        """Delete the copy; returns whether that succeeded."""
        transport = self.root.make_transport()
        path = f"/_emulator/worlds/{self.name}"
        try:
            return transport.carry("DELETE", path, (), b"", seconds=_PATIENCE, fresh=True).status == _OK
        except (Unreachable, NoAnswer):
            return False
        finally:
            transport.close()


def fork_world(target: Target) -> ForkedWorld | None:
    """Copy the world of a target; None if it offers no copy."""
    if target.is_in_process or not target.is_loopback:
        return None
    address = target.address
    prefix, name = address.path, _DEFAULT
    if (selected := _WORLD.fullmatch(address.path)) is not None:
        prefix, name = selected["root"], selected["name"]
    root = replace(target, url=str(replace(address, path=prefix)))
    copy = f"contracts-{secrets.token_hex(4)}"
    transport = root.make_transport()
    try:
        body = json.dumps({"name": copy}).encode()
        path = f"/_emulator/worlds/{name}/fork"
        answer = transport.carry("POST", path, _JSON, body, seconds=_PATIENCE, fresh=True)
    except (Unreachable, NoAnswer):
        return None
    finally:
        transport.close()
    if answer.status != _CREATED or answer.fields.get("name") != copy:
        return None
    return ForkedWorld(replace(root, url=f"{root.base}/w/{copy}"), root, copy)
