"""`zof-emulator webhooks`: follows the webhook deliveries of a running emulator in the terminal."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import click
import orjson

from zof_emulator.cli.option_types import Parsed
from zof_emulator.cli.output import print_line
from zof_emulator.core.fields import suggest
from zof_emulator.server.terminal import write_line
from zof_emulator.settings import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAUSE: Final = 0.5
"""Seconds between two polls."""
_PATIENCE: Final = 10.0
"""Seconds that the emulator has for an answer."""
_PAGE: Final = 1_000
_WORLD: Final = re.compile(r"/w/([^/]+)\Z")
_OPEN: Final = frozenset({"pending", "sending"})


@click.command()
@click.option(
    "--url",
    default="http://127.0.0.1:9630",
    envvar="ZOF_EMULATOR_URL",
    show_default=True,
    show_envvar=True,
    type=Parsed("url", parse_url),
    help="Scheme and host of the emulator, with /w/NAME for a world other than the default one.",
)
@click.option("--token", default="", envvar="ZOF_EMULATOR_TOKEN", help="Token of the emulator, if it requires one.")
@click.option("--once", is_flag=True, help="Print the attempts so far, and exit.")
def webhooks(url: str, token: str, *, once: bool) -> int:
    """Follow webhook deliveries: print one line for each attempt, until Ctrl-C."""
    follower = Follower(url, token)
    if once:
        follower.check_world()
    if not once and sys.stderr.isatty():
        write_line(sys.stderr, f"following the webhook deliveries of {url}; press Ctrl-C to stop")
    while True:
        for line in follower.poll():
            print_line(line)
        if once:
            return 0
        time.sleep(_PAUSE)


class Follower:
    """Polls the deliveries of an emulator and describes the new attempts."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._base = f"{url.rstrip('/')}/_emulator/deliveries"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._shown: dict[int, Any] = {}
        """The deliveries that were printed, from the first open one on, as they were then."""
        self._last = 0
        """The number of the delivery before these, which has ended; 0 if there is none."""
        self._world = ""
        """The number of the world whose deliveries these are."""

    def check_world(self) -> None:
        """Check that the world that the URL names exists; a world is created by the first request that uses it.

        Raises:
            click.ClickException: it does not exist, or no emulator answers at the URL.
        """
        named = _WORLD.search(self._url)
        if named is None:
            return
        worlds, _ = self._get(f"{self._url}/_emulator/worlds")
        names = [one["name"] for one in worlds["data"]]
        if named[1] not in names:
            raise click.ClickException(f"there is no world {named[1]!r} at {self._url}{suggest(named[1], names)}")

    def poll(self) -> Iterator[str]:
        """A line for each attempt since the last poll.

        Raises:
            click.ClickException: no emulator answers at the URL.
        """
        page, world = self._read(self._last)
        if world != self._world:  # it was replaced, as by a reset, and the numbers of its deliveries start again
            self._world, self._last = world, 0
            self._shown.clear()
            page, _ = self._read(0)
        while True:
            for delivery in page["data"]:
                yield from self._describe(delivery)
            if not page["has_more"]:
                break
            page, _ = self._read(page["next_cursor"])
        while self._last + 1 in self._shown and self._shown[self._last + 1]["status"] not in _OPEN:
            self._last += 1
            del self._shown[self._last]

    def _describe(self, delivery: Any) -> Iterator[str]:  # noqa: ANN401  JSON
        number, attempts = delivery["number"], delivery["attempts"]
        if delivery == self._shown.get(number):
            return
        before = len(self._shown[number]["attempts"]) if number in self._shown else 0
        for index, attempt in enumerate(attempts[before:], before + 1):
            result = attempt["error"] or str(attempt["status"])
            yield (
                f"{attempt['ended_at']} {delivery['type']} {delivery['event_id']} {delivery['kind']} "
                f"attempt {index} to {delivery['request']['url']}: {result} ({delivery['status']})"
            )
        if delivery["status"] == "dropped":
            yield f"{delivery['type']} {delivery['event_id']} dropped: {delivery['note']}"
        self._shown[number] = delivery

    def _read(self, after: int) -> tuple[Any, str]:
        """A page of deliveries, and the number of their world."""
        return self._get(f"{self._base}?limit={_PAGE}&starting_after={after}")

    def _get(self, url: str) -> tuple[Any, str]:
        try:
            opener = build_opener(ProxyHandler({}))
            with opener.open(Request(url, headers=self._headers), timeout=_PATIENCE) as answer:  # noqa: S310
                return orjson.loads(answer.read()), answer.headers.get("X-Zof-World-Number", "")
        except HTTPError as error:
            raise click.ClickException(
                f"{url} answered {error.code}; check that --url and --token are those of an emulator"
            ) from error
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise click.ClickException(f"cannot read {url}: {reason}; name the emulator with --url") from error
