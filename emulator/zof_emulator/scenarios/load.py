"""Loads scenarios: from a file, from a JSON value, or by the name of a built-in one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from zof_emulator.core.config import WorldConfig
from zof_emulator.core.fields import InvalidField, suggest
from zof_emulator.core.limits import OFF, Rate, RateScope
from zof_emulator.core.scenario import Problem, Scenario, ScenarioError
from zof_emulator.core.scenario_reader import find_contradictions, read_scenario, split_path
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.scenarios.schema import MOST_PROBLEMS, SETTINGS, find_problems
from zof_emulator.scenarios.tree import TreeError, read_limited, read_tree, walk
from zof_emulator.spec import document, operation
from zof_emulator.spec.fault_rules import FaultJudge

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Config = TypeVar("Config", bound=WorldConfig)

_FOLDER: Final = Path(__file__).parent / "builtin"
_CORE: Final = (Scenario.DEFAULT, Scenario.EMPTY)
_NAMELESS: Final = "custom"
_ENDINGS: Final = (".yaml", ".yml", ".json")


class UnusableScenario(Exception):  # noqa: N818  it reads as the error that it is
    """A scenario cannot be used. The message is the first mistake; `lines` has a line for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        super().__init__(lines[0] + more)
        self.lines = lines


class UnreadableScenario(UnusableScenario):
    """The file of a scenario cannot be read."""


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario with the settings that it states."""

    scenario: Scenario
    settings: Mapping[str, Any]
    """The fields of `WorldConfig` that it states, by name."""

    def apply(self, config: Config, keep: Collection[str] = ()) -> Config:
        """A configuration with this scenario and its settings; the settings named by `keep` do not change."""
        changes = {name: value for name, value in self.settings.items() if name not in keep}
        return replace(config, scenario=self.scenario, **changes)


def list_names() -> list[str]:
    """The names of the built-in scenarios."""
    return [*(one.name for one in _CORE), *sorted(path.stem for path in _FOLDER.glob("*.yaml"))]


def read_builtin(name: str) -> str:
    """The text of a built-in scenario, which is empty for `default` and `empty`.

    Raises:
        UnusableScenario: no built-in scenario has this name.
    """
    if any(name == one.name for one in _CORE):
        return ""
    if name not in list_names():
        raise UnusableScenario([f"there is no scenario {name[:100]!r}{suggest(name, list_names())}"])
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


@lru_cache(maxsize=32)
def load_builtin(name: str) -> LoadedScenario:
    """A built-in scenario.

    Raises:
        UnusableScenario: no built-in scenario has this name.
    """
    for one in _CORE:
        if name == one.name:
            return LoadedScenario(one, {})
    return _load_content(read_builtin(name).encode(), name, name)


def load_file(path: Path) -> LoadedScenario:
    """The scenario in a YAML or JSON file.

    Raises:
        UnusableScenario: the file cannot be read, or has mistakes; each is named with its line.
    """
    try:
        content = read_limited(path)
    except OSError as error:
        raise UnreadableScenario([f"cannot read {path}: {error.strerror}"]) from error
    except TreeError as error:
        raise UnusableScenario([f"{path}:{error.line}: {error}"]) from error
    return _load_content(content, str(path), _make_name(path.stem))


def load_object(value: object) -> LoadedScenario:
    """The scenario in a JSON value: an object as in a file, or the name of a built-in scenario.

    Raises:
        UnusableScenario: the value has mistakes; each is named with its place.
    """
    if isinstance(value, str):
        return load_builtin(value)
    try:
        return _load_value(value, _NAMELESS)
    except ScenarioError as error:
        raise UnusableScenario([str(one) for one in error.problems]) from error


def load_scenario(source: object, folder: Path | None = None) -> LoadedScenario:
    """The scenario that a user names: a built-in name, the path of a file, or a JSON object.

    A relative path begins at `folder`, or at the current directory.

    Raises:
        UnusableScenario: there is no such scenario, or it has mistakes.
    """
    if not isinstance(source, str | Path):
        return load_object(source)
    if str(source) in list_names():
        return load_builtin(str(source))
    path = Path(source) if folder is None else folder / source
    is_path = isinstance(source, Path) or "/" in source or source.endswith(_ENDINGS)
    if not is_path and not path.exists():
        guess = suggest(str(source), list_names())
        raise UnusableScenario([f"{str(source)[:100]!r} is neither a file nor a built-in scenario{guess}"])
    return load_file(path)


def read_source(source: object) -> tuple[Any, str]:
    """A scenario as a request takes it, and a key of its worlds, for a client of the control operations.

    Raises:
        UnusableScenario: there is no such scenario, or it has mistakes.
    """
    loaded = load_scenario(source)
    key = loaded.scenario.choose_key(DEFAULT).secret
    if isinstance(source, str) and source in list_names():
        return source, key
    if isinstance(source, str | Path):
        path = Path(source)
        return {"name": loaded.scenario.name, **read_tree(read_limited(path)).value}, key
    return source, key


def _load_content(content: bytes, shown: str, name: str) -> LoadedScenario:
    try:
        tree = read_tree(content)
    except TreeError as error:
        raise UnusableScenario([f"{shown}:{error.line}: {error}"]) from error
    try:
        return _load_value(tree.value, name)
    except ScenarioError as error:
        found = sorted((tree.find_line(one.path), str(one)) for one in error.problems)
        raise UnusableScenario([f"{shown}:{line}: {message}" for line, message in found]) from error


def _load_value(value: Any, name: str) -> LoadedScenario:  # noqa: ANN401  JSON
    try:
        is_sound = all(_is_sound(one) for one in walk(value))
    except TreeError as error:
        raise ScenarioError([Problem((), str(error))]) from error
    if not is_sound:
        raise ScenarioError([Problem((), "a text holds half of a surrogate pair, which no encoding can write")])
    value = _convert_to_integers(value)
    problems = find_problems(value)
    if problems:
        raise ScenarioError(problems + _find_contradictions(value, problems))
    settings = {name: _read_setting(name, value[name]) for name in SETTINGS if name in value}
    rest = {"name": name} | {name: one for name, one in value.items() if name not in SETTINGS}
    scenario = read_scenario(rest, settings.get("environments", ()))
    _judge_faults(scenario)
    return LoadedScenario(scenario, settings)


def _judge_faults(scenario: Scenario) -> None:
    """Judge the fault rules of a scenario by the contract.

    Raises:
        ScenarioError: a rule names what does not exist.
    """
    if not scenario.faults or scenario.data is None:
        return
    organizations = [one.id for one in scenario.data.organizations]
    keys, problems = [one.digest for one in scenario.data.keys], []
    for index, rule in enumerate(scenario.faults):
        try:
            _load_judge().judge(rule, organizations, keys)
        except InvalidField as error:
            problems.append(Problem(("faults", index, *split_path(error.path)), str(error)))
    if problems:
        raise ScenarioError(problems)


@lru_cache(maxsize=1)
def _load_judge() -> FaultJudge:
    contract = document.load_document(document.find_document("openapi.yaml"))
    return FaultJudge(operation.compile_operations(contract), urlsplit(contract.root["servers"][0]["url"]).path)


def _find_contradictions(value: Any, problems: list[Problem]) -> list[Problem]:  # noqa: ANN401
    """The other mistakes in a value that does not satisfy the schema, as far as they can be judged."""
    if not isinstance(value, dict) or len(problems) >= MOST_PROBLEMS:  # parts without a problem may be invalid too
        return []
    invalid = {one.path[: 1 if isinstance(value.get(str(one.path[0])), dict) else 2] for one in problems if one.path}
    labels = value.get("environments", ()) if not any(path[0] == "environments" for path in invalid) else ()
    rest = {name: one for name, one in value.items() if name not in SETTINGS and (name,) not in invalid}
    return find_contradictions(rest, labels, invalid)


def _read_setting(name: str, value: Any) -> Any:  # noqa: ANN401
    """The value of a setting that satisfies the schema."""
    if name == "rate":
        given = value if isinstance(value, dict) else {}
        scope = {"scope": RateScope(given["scope"])} if "scope" in given else {}
        return OFF if value == "off" else Rate(**{**given, **scope})
    return tuple(value) if isinstance(value, list) else value


def _is_sound(value: Any) -> bool:  # noqa: ANN401
    try:
        return not isinstance(value, str) or bool(value.encode()) or not value
    except UnicodeEncodeError:
        return False


def _convert_to_integers(value: Any) -> Any:  # noqa: ANN401
    """The value with `1` in the place of `1.0`: JSON Schema takes both for an integer, and a world only the first."""
    if isinstance(value, dict):
        return {str(name): _convert_to_integers(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_convert_to_integers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _make_name(stem: str) -> str:
    """A name of a scenario that follows from the name of its file."""
    words = "".join(one if one.isascii() and one.isalnum() else "-" for one in stem.lower()).strip("-")
    return words[:64] or _NAMELESS
