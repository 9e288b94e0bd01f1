"""The pytest plugin: the fixture `zof` gives each test a world of its own, on one emulator for the whole session.

pytest imports this module in every run of every project in whose environment we are installed. It therefore imports
nothing of the emulator; the first test that asks for the fixture loads the rest.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from zof_emulator.testing.emulator import Emulator
    from zof_emulator.testing.world import World

_WORLD: Final = "_zof_world"
_MARKER: Final = (
    "zof(seed=0, clock='real', scenario='default'): the configuration of the world of the fixture `zof`: "
    "the fields of POST /_emulator/worlds; `scenario` may be the name of a built-in scenario, a path, or a dict."
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _MARKER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warn of a marker of a test without the fixture; one of a class or a module may be meant for other tests."""
    for item in items:
        has_marker = any(marker.name == "zof" for marker in item.own_markers)
        if has_marker and "zof" not in getattr(item, "fixturenames", ()):
            item.warn(pytest.PytestWarning("the marker zof has no effect on a test without the fixture zof"))


@pytest.fixture(scope="session")
def zof_emulator() -> Iterator[Emulator]:
    """A running emulator for the whole session, on a free port, in a thread."""
    with import_module("zof_emulator.testing.emulator").running(max_worlds=100_000) as emulator:
        yield emulator


@pytest.fixture
def zof(zof_emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[World]:
    """A new world of the emulator for this test; the marker `zof` sets its configuration."""
    config: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("zof"))):
        if marker.args:
            raise pytest.UsageError(f"the marker zof takes keyword arguments only, not {marker.args!r}")
        config |= marker.kwargs
    if isinstance(config.get("scenario"), str | Path):
        config["scenario"] = _find_scenario(config["scenario"], request.node.path.parent)
    testing = import_module("zof_emulator.testing")
    try:
        world = zof_emulator.create_world(**config)
    except (testing.ControlError, testing.UnusableScenario) as error:
        pytest.fail(f"cannot create the world of this test: {error}", pytrace=False)
    setattr(request.node, _WORLD, world)
    yield world
    world.delete()


def _find_scenario(given: str | Path, folder: Path) -> str | Path:
    """The scenario file that a marker names, which is looked for beside the test's module first."""
    beside = folder / given
    return beside if beside.is_file() else given


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the journal's last exchanges to the report of a test that failed."""
    report = yield
    world: World | None = getattr(item, _WORLD, None)
    if call.when == "call" and report.failed and world is not None:
        report.sections.append(("zof: the last requests of this test", world.journal.describe_tail()))
    return report
