"""Assembles the emulator as an ASGI application from settings."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.routing import Route

from zof_emulator.console.pages import Pages
from zof_emulator.control import operations
from zof_emulator.control.journal_filters import collect_names
from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import SECOND
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.core.world import World
from zof_emulator.handlers import table, views
from zof_emulator.http import control_access
from zof_emulator.http.api import OpenApiApp
from zof_emulator.http.control_access import ControlGuard
from zof_emulator.http.cors import CrossOrigin
from zof_emulator.http.dispatch import Dispatcher, WrappedDispatcher
from zof_emulator.http.faults import FaultInjector
from zof_emulator.http.forwarded import ForwardedRequests
from zof_emulator.http.hosted_world import AccessCache, HostedWorld, Listeners
from zof_emulator.http.policy import ApiPolicy, ControlPolicy
from zof_emulator.http.preferences import INVALID_PREFERENCE
from zof_emulator.http.world_registry import WorldRegistry
from zof_emulator.settings import Settings, parse_network
from zof_emulator.spec import document, operation
from zof_emulator.spec.fault_rules import FaultJudge
from zof_emulator.webhooks.compose import compose
from zof_emulator.webhooks.post import CallPolicy
from zof_emulator.webhooks.service import DeliveryService, load_courier

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from zof_emulator.core.config import WorldConfig
    from zof_emulator.core.tenants import SeedData
    from zof_emulator.http.deliveries import Deliveries
    from zof_emulator.http.hosted_world import Exchange
    from zof_emulator.spec.document import Document

EPOCH: Final = 1_767_225_600_000
"""The start of a manual clock, in ms: 2026-01-01T00:00:00Z."""


class SystemClock:
    """The system's time in ms since the Unix epoch; it never runs backwards, even if the system's clock is set back.

    Nothing else in the emulator reads the system's clock.
    """

    __slots__ = ("_last", "_steady", "_steady_last", "_wall")

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns) -> None:
        """`wall` reads the clock that can be set, `steady` one that cannot; both in ns."""
        self._wall = wall
        self._steady = steady
        self._last = wall()
        self._steady_last = steady()

    def __call__(self) -> int:
        """The time: what the wall clock shows, or later where that would be less than the time that has passed."""
        steady = self._steady()
        self._last = last = max(self._wall(), self._last + steady - self._steady_last)
        self._steady_last = steady
        return last // 1_000_000


system_clock: Final = SystemClock()


def create_app(  # noqa: PLR0913  each has a default
    settings: Settings | None = None,
    *,
    data: SeedData | None = None,
    system: Callable[[], int] = system_clock,
    on_exchange: Callable[[Exchange], None] | None = None,
    on_rate_limited: Callable[[], None] | None = None,
    on_journal_end: Callable[[HostedWorld], None] | None = None,
    on_world_start: Callable[[HostedWorld], None] | None = None,
    deliveries: Deliveries | None = None,
) -> Dispatcher:
    """An emulator as an ASGI application, with worlds of its own.

    Args:
        settings: its configuration; `Settings()` by default. Host and port only decide who has access.
        data: what a fresh world holds; by default `zof_emulator.core.tenants.DEFAULT`, with the settings' environments.
        system: reads the system's clock, in ms since the Unix epoch; a manual clock never asks it.
        on_exchange: called after every exchange.
        on_rate_limited: called for every request that the rate limit refuses.
        on_journal_end: called before the exchanges of a world are dropped, because it is reset, restored or deleted, or
            because its journal is cleared.
        on_world_start: called when a world has been made, and when it has been reset.
        deliveries: sends webhooks; by default a thread does, which calls real receivers.

    Raises:
        SpecError: the contract cannot be used.
    """
    chosen = settings or Settings()
    contract = document.load_document(document.find_document("openapi.yaml"))
    own = document.load_document(document.find_document("control.yaml"))
    listeners = Listeners(on_exchange, on_rate_limited, on_journal_end, on_world_start)
    worlds = _make_registry(chosen, data or DEFAULT, system, listeners)
    may_call = CallPolicy(chosen.webhook_allow)
    sending = deliveries or DeliveryService(compose, lambda: load_courier(may_call))
    api = OpenApiApp(
        contract, table.TABLE, views.PREFIX, policy=ApiPolicy(), deliveries=sending, public_url=chosen.public_url
    )
    api.faults = FaultInjector(api, operation.compile_elsewhere(own), has_preferences=chosen.prefer)
    control = _make_control(own, contract, worlds, sending, chosen)
    pages = Pages(worlds, sending.lock, chosen.public_url)
    browser = Starlette(routes=[Route("/", pages.show_home), Route("/runs/{id}", pages.show_run)])
    guard = _make_guard(chosen)
    if not chosen.cors and not chosen.trusted_proxy:
        return Dispatcher(browser, worlds=worlds, api=api, control=control, control_guard=guard)
    wrapped = WrappedDispatcher(browser, worlds=worlds, api=api, control=control, control_guard=guard)
    networks = [parse_network(one) for one in chosen.trusted_proxy]
    wrapped.wrap(
        lambda app: CrossOrigin(app, chosen.cors, wrapped.hosted, sending.lock),
        lambda app: ForwardedRequests(app, networks),
    )
    return wrapped


def _make_registry(
    settings: Settings, data: SeedData, system: Callable[[], int], listeners: Listeners
) -> WorldRegistry:
    """The worlds of an emulator; each holds `data` unless its scenario has data of its own."""
    usual, share_access, numbers = settings.world, AccessCache(), count(1)

    def make_world(config: WorldConfig, now: int) -> Generator[None, None, World]:
        return World.make_in_slices(config, data, now if config.clock is ClockMode.REAL else EPOCH)

    def host_world(name: str, config: WorldConfig | None) -> HostedWorld:
        return HostedWorld(
            config or usual,
            make_world,
            system,
            share_access,
            listeners,
            numbers=numbers,
            name=name,
            most_exchanges=settings.journal,
        )

    return WorldRegistry(host_world, system, most=settings.max_worlds, idle_ms=settings.world_idle * SECOND)


def _make_guard(settings: Settings) -> ControlGuard:
    """The guard of the control operations and of the pages."""
    return ControlGuard(
        loopback=settings.loopback,
        has_proxies=bool(settings.trusted_proxy),
        token=settings.token,
        public_url=settings.public_url,
        origins=settings.cors,
    )


def _make_control(
    own: Document, contract: Document, worlds: WorldRegistry, deliveries: Deliveries, settings: Settings
) -> OpenApiApp:
    """The operations under `/_emulator`, which `own` describes, on the worlds of an emulator of `contract`."""
    names = collect_names(
        operation.compile_operations(contract),
        operation.compile_operations(own),
        (*operation.compile_elsewhere(contract), INVALID_PREFERENCE),
    )
    judge = FaultJudge(operation.compile_operations(contract), views.PREFIX)
    return OpenApiApp(
        own,
        operations.build_table(contract.root, names, worlds, judge, settings.public_url),
        control_access.PREFIX,
        policy=ControlPolicy(),
        deliveries=deliveries,
        public_url=settings.public_url,
        readers=operations.BODY_READERS,
    )
