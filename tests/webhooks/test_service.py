"""The delivery service: its thread ends when no delivery is waiting, and starts again."""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING

from zof_emulator.core.deliveries import AttemptResult
from zof_emulator.webhooks.compose import compose
from zof_emulator.webhooks.service import DeliveryService

from tests.receivers import PATIENCE
from tests.webhooks.test_delivery import Hooks

if TYPE_CHECKING:
    from zof_emulator.webhooks.post import Post


class ClosingSender:
    """Takes requests in place of the courier, and tells a queue when it is closed and what it sent."""

    def __init__(self, closed: Queue[list[Post]]) -> None:
        self.posts: list[Post] = []
        self._closed = closed

    async def send(self, post: Post) -> AttemptResult:
        """Record a request."""
        self.posts.append(post)
        return AttemptResult(204)

    async def aclose(self) -> None:
        """Hand over the requests that were sent."""
        self._closed.put(self.posts)


def test_an_idle_thread_ends_and_starts_again() -> None:
    """The thread closes its connections when no delivery is waiting, and the next delivery starts another thread."""
    closed: Queue[list[Post]] = Queue()
    zof = Hooks(deliveries=DeliveryService(compose, lambda: ClosingSender(closed), linger_ms=0))
    zof.register("http://127.0.0.1:9/", "run.completed")
    for _ in range(2):
        zof.run("tc_a")
        zof.deliver()
        assert [post.url for post in closed.get(timeout=PATIENCE)] == ["http://127.0.0.1:9/"]
