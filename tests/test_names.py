"""Rules for names: functions are verbs or nouns, and words of a private language are not used."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = (ROOT / "emulator" / "zof_emulator", ROOT / "contracts" / "zof_contracts")
SOURCES: Final = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
OTHERS: Final = [
    path
    for name in ("bench", "scripts", "examples", "tests")
    for path in sorted((ROOT / name).rglob("*.py"))
    if "node_modules" not in path.parts
]


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


IRREGULAR: Final = word_set(
    "asked been begun bent born bound bought bred broken brought built burnt caught chosen cut dealt done drawn driven "
    "eaten fallen fed felt forgotten fought found frozen given gone got grown heard held hidden hung kept known laid "
    "led left lent let lit lost made meant met mistaken paid proven put ridden risen said seen sent set shaken "
    "shown shrunk shut sold sought spent split spoken spoilt spread stolen stood struck stuck sung sunk sworn swept "
    "taken taught thought thrown told torn undone understood undertaken unwritten won worn wound woven written"
)
"""Past participles that do not end in -ed."""
SAME_AS_VERB: Final = word_set("bound cut let put set shut split spread")
"""Participles that are also the verb itself, or a noun: `put`, `set`, `split`, `bound`."""
NOT_PARTICIPLES: Final = word_set("embed exceed feed need proceed seed speed succeed")
"""Words in -ed that are verbs or nouns."""
ADJECTIVES: Final = word_set(
    "about absent again alike alone animated anonymous apart away awake between busy dead due elsewhere "
    "equal exact familiar foreign fresh full general here honest idle inert last legible live loose many mine "
    "most near nearly newest numeric opaque perhaps plain possible quiet ready real repeatable safe same "
    "simultaneous small strange strict stale theirs there together true unread unlike unsafe valid visible whole "
    "where whose within wrong yet"
)
"""Adjectives, adverbs and prepositions that say nothing of what a function does or returns.

`ok` is admitted: `requests` and the Fetch standard use it for the property of an answer.
"""
PARTICLES: Final = word_set("after at away before by down for from in later of off on out over through to up")
"""Words that leave a participle a participle: `looked_up`, `waited_for`."""

PREPOSITIONS: Final = word_set("as in of with without")
"""Words that begin no name of a function; `from_json` is a constructor."""

OLD_WORDS: Final = ("corridor", "entrance", "stage", "sights", "audience", "bench.awake")
"""Metaphors that the project once used for its parts."""


def is_participle(word: str) -> bool:
    """Whether a word is a past participle and no verb or noun of its own."""
    regular = word.endswith("ed") and word not in NOT_PARTICIPLES
    return (regular or word in IRREGULAR) and word not in SAME_AS_VERB


def is_bare(name: str) -> bool:
    """Whether a function's name is a bare participle or adjective, alone or with a particle."""
    word, *rest = name.strip("_").split("_")
    alone = not rest or set(rest) <= PARTICLES
    return alone and (is_participle(word) or (word in ADJECTIVES and not rest))


def lacks_verb(name: str) -> bool:
    """Whether a function's name is a noun with a preposition, such as `key_of`, or begins with a preposition."""
    words = name.strip("_").split("_")
    return words[-1] in {"of", "from"} or (len(words) > 1 and words[0] in PREPOSITIONS)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a module and the methods of its classes, properties too; not what is inside of functions."""
    bodies: list[list[ast.stmt]] = [tree.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node
            elif isinstance(node, ast.ClassDef):
                bodies.append(node.body)


def name(path: Path) -> str:
    """The path of a module from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("module", [*SOURCES, *OTHERS], ids=name)
def test_no_function_is_named_by_a_participle(module: Path) -> None:
    """A function or method is named by a verb, a noun, or `is_`, `has_`, `can_`: never by a participle alone."""
    named = {function.name for function in functions(ast.parse(module.read_text())) if is_bare(function.name)}
    assert named == set()


@pytest.mark.parametrize("module", [*SOURCES, *OTHERS], ids=name)
def test_no_function_is_named_by_a_preposition(module: Path) -> None:
    """A function is named `find_key`, not `key_of`, and `remove_secrets`, not `without_secrets`."""
    named = {function.name for function in functions(ast.parse(module.read_text())) if lacks_verb(function.name)}
    assert named == set()


@pytest.mark.parametrize("given", ["key_of", "_digest_of", "rule_from", "_without_secrets", "as_json", "with_digits"])
def test_a_preposition_is_recognized(given: str) -> None:
    """The rule refuses the kinds of name that the project once had."""
    assert lacks_verb(given)


@pytest.mark.parametrize(
    "given",
    sorted(
        word_set(
            "kept told there marked watched shown asked given heard seen found made done known named judged settled "
            "shortened played tried written masked polled entered driven copied ranked saved restored begun _kept "
            "looked_up waited_for again"
        )
    ),
)
def test_a_participle_is_recognized(given: str) -> None:
    """The rule refuses the names that the project once had, so that the test before this one tests something."""
    assert is_bare(given)


@pytest.mark.parametrize(
    "given",
    sorted(word_set("seed feed read put split set result record_kept is_settled has_ended find_broken_rule on_header")),
)
def test_a_verb_or_noun_is_none(given: str) -> None:
    """The rule admits verbs, nouns and the questions that begin with `is_` and `has_`."""
    assert not is_bare(given)


def words(source: str) -> Iterator[str]:
    """The names in a module, split at underscores and capitals, and its strings, docstrings included."""
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "name", "attr", "arg", "asname"):
            given = getattr(node, field, None)
            if isinstance(given, str):
                yield re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", given)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("module", SOURCES, ids=name)
def test_no_old_word_is_used(module: Path) -> None:
    """No name, docstring or message uses a word of the former private language, and no finding says "otherwise"."""
    source = module.read_text()
    text = "\n".join(words(source)).lower()
    used = {word for word in OLD_WORDS if re.search(rf"\b{re.escape(word)}\b", text)}
    used |= {'"otherwise"'} if re.search(r"""['"]otherwise['"]""", source) else set()
    assert used == set()
