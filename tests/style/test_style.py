"""Style as a test: what STYLE asks of every file and no linter checks.

Each rule is a function from one source file to its faults. A fault names file:line and says what to do.
Exceptions live in the tables at the top, each with its reason; an exception that nothing needs is a fault too.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

FILE_LINES_WANTED, FILE_LINES_MAX = 400, 450
FUNCTION_LINES_WANTED, FUNCTION_LINES_MAX = 50, 60  # without the docstring: help and examples are free

# Files that may be longer than FILE_LINES_MAX: path -> why it does not split well.
LONG_FILES: dict[str, str] = {}

# Functions that may be longer than FUNCTION_LINES_MAX: "path::name" -> why it does not split well.
LONG_FUNCTIONS: dict[str, str] = {}

# Names that say nothing about what is inside.
EMPTY_NAMES = {"common", "data", "info", "misc"}
EMPTY_WORDS = {"helper", "helpers", "manager", "managers", "util", "utils"}

# Words that the glossary replaces: word -> what to say instead.
BANNED_WORDS = {"master": "primary", "slave": "standby", "node": "host"}

# Where a banned word is somebody else's proper name: (word, folder) -> why.
BORROWED_WORDS = {
    ("master", "src/holdfast/traffic"): "HAProxy's master-worker mode and its master socket",
    ("master", "src/holdfast/journal"): "sqlite_master, a table of SQLite's own",
    ("master", "src/holdfast/redis"): "words of Redis' protocol and of Sentinel's",
    ("slave", "src/holdfast/redis"): "the same",
    ("slave", "src/holdfast/model/redis.py"): "parameters of Redis by their old names",
    ("slave", "tests/contract/redis"): "words of Redis' protocol",
    ("slave", "tests/lab"): "the same",
    ("slave", "tests/e2e/test_redis_on_one_host.py"): "the same",
    ("master", "tests"): "tests of the same",
    ("slave", "tests/style"): "the rule that bans it",
    ("master", "src/holdfast/ocf"): "names that OCF agents read and write, as Pacemaker gave them",
    ("slave", "src/holdfast/ocf"): "the same",
    ("node", "src/holdfast/ocf"): "the same",
    ("node", "src/holdfast/config"): "a node of a YAML document, in PyYAML's words",
    ("node", "tests"): "a node of a syntax tree",
}


class Source(NamedTuple):
    """One Python file of the project."""

    path: str  # from the root of the checkout
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, text: str) -> "Source":
        return cls(path, text, ast.parse(text, path))

    def lines(self) -> Iterator[tuple[int, str]]:
        return enumerate(self.text.splitlines(), start=1)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(Source.parse(p.relative_to(ROOT).as_posix(), p.read_text("utf-8")) for p in paths)


# --- the rules ----------------------------------------------------------------------------------------

Rule = Callable[[Source], Iterator[str]]


def file_is_short(source: Source) -> Iterator[str]:
    count = len(source.text.splitlines())
    if count > FILE_LINES_MAX and source.path not in LONG_FILES:
        yield f"{source.path}:1: {count} lines, at most {FILE_LINES_MAX}: split it by idea"


def function_is_short(source: Source) -> Iterator[str]:
    for function in source.functions():
        count = function_lines(function)
        if count > FUNCTION_LINES_MAX and f"{source.path}::{function.name}" not in LONG_FUNCTIONS:
            yield (
                f"{source.path}:{function.lineno}: `{function.name}` has {count} lines, "
                f"at most {FUNCTION_LINES_MAX}: give each level of meaning its own function"
            )


def name_says_what_is_inside(source: Source) -> Iterator[str]:
    for part in PurePosixPath(source.path).parts:
        stem = part.removesuffix(".py")
        if stem in EMPTY_NAMES or EMPTY_WORDS & set(stem.split("_")):
            yield f"{source.path}:1: the name `{part}` says nothing: name it for the one idea inside"


def class_says_what_it_is(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Utils?|Data|Info)$", node.name):
            yield f"{source.path}:{node.lineno}: class `{node.name}`: name the value, resource or adapter that it is"


def module_tells_why_it_exists(source: Source) -> Iterator[str]:
    if not ast.get_docstring(source.tree):
        yield f"{source.path}:1: no docstring: begin the module with the idea it holds"


def nothing_is_mocked(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                imported = {alias.name for alias in names}
            case ast.ImportFrom(module=module, names=names):
                imported = {f"{module}.{alias.name}" for alias in names}
            case _:
                continue
        if any("mock" in name.split(".") or "pytest_mock" in name.split(".") for name in imported):
            yield f"{source.path}:{node.lineno}: a mock: write a fake that passes the contract suite of its port"


def words_are_the_glossarys(source: Source) -> Iterator[str]:
    for word, instead in BANNED_WORDS.items():
        if any(word == borrowed and is_inside(source.path, folder) for borrowed, folder in BORROWED_WORDS):
            continue
        for number, _ in lines_with(word, source):
            yield f"{source.path}:{number}: the word `{word}`: our glossary says `{instead}`"


def silenced_warning_says_why(source: Source) -> Iterator[str]:
    for number, line in source.lines():
        if re.search(r"#\s*noqa\b(?!: [A-Z]+\d+(, ?[A-Z]+\d+)* +(-|#|--) +\S)", line):
            yield f"{source.path}:{number}: write `# noqa: CODE - why`"
        if re.search(r"#\s*type:\s*ignore\b(?!\[[a-z, -]+\] +# +\S)", line):
            yield f"{source.path}:{number}: write `# type: ignore[code]  # why`"


EVERYWHERE = ("src", "tests", "bench", "tools")
RULES: list[tuple[Rule, tuple[str, ...]]] = [
    (file_is_short, ("src",)),
    (function_is_short, ("src",)),
    (name_says_what_is_inside, EVERYWHERE),
    (class_says_what_it_is, ("src",)),
    (module_tells_why_it_exists, ("src",)),
    (nothing_is_mocked, ("src", "tests")),
    (words_are_the_glossarys, ("src", "tests")),
    (silenced_warning_says_why, ("src", "bench", "tools")),
]


def function_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno is not None
    count = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None:
        count -= first.end_lineno - first.lineno + 1
    return count


def lines_with(word: str, source: Source) -> Iterator[tuple[int, str]]:
    """Find `word` as a word of its own, in prose or inside a snake_case or CamelCase name."""
    pattern = re.compile(rf"(?<![a-z]){word}s?(?![a-z])|(?<![A-Z]){word.capitalize()}s?(?![a-z])", re.ASCII)
    return ((number, line) for number, line in source.lines() if pattern.search(line))


def is_inside(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


# --- the tests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "folders"), RULES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_file_keeps(rule: Rule, folders: tuple[str, ...]) -> None:
    faults = [fault for source in sources(*folders) for fault in rule(source)]
    assert not faults, "\n" + "\n".join(faults)


def test_few_files_are_long() -> None:
    # The hard limit is for one file; this one keeps the whole from growing up to it. One in ten may be long.
    files = sources("src")
    long = [s.path for s in files if len(s.text.splitlines()) > FILE_LINES_WANTED]
    assert len(long) <= max(1, len(files) // 10), (
        f"more than one file in ten is over {FILE_LINES_WANTED} lines: {long}"
    )


def test_few_functions_are_long() -> None:
    counts = {
        f"{s.path}:{f.lineno} {f.name}": function_lines(f) for s in sources("src") for f in s.functions()
    }
    long = [name for name, count in counts.items() if count > FUNCTION_LINES_WANTED]
    assert len(long) <= max(1, len(counts) // 50), (
        f"more than one function in fifty is over {FUNCTION_LINES_WANTED} lines: {long}"
    )


def test_every_exception_is_still_needed() -> None:
    paths = {source.path for source in sources("src")}
    functions = {
        f"{source.path}::{function.name}" for source in sources("src") for function in source.functions()
    }
    gone = [*(set(LONG_FILES) - paths), *(set(LONG_FUNCTIONS) - functions)]
    assert not gone, f"exceptions in {__file__} for what is no longer there: {gone}"


def test_every_rule_that_the_linter_skips_has_its_reason() -> None:
    lines = list(enumerate((ROOT / "pyproject.toml").read_text("utf-8").splitlines(), start=1))
    bare = [f"pyproject.toml:{n}: say why" for n, line in lines if re.match(r'\s+"[A-Z]+\d*",\s*$', line)]
    assert not bare, "\n" + "\n".join(bare)


def test_every_dependency_has_its_reason() -> None:
    lines = list(enumerate((ROOT / "pyproject.toml").read_text("utf-8").splitlines(), start=1))
    bare = [
        f"pyproject.toml:{n}: say what it is for"
        for n, line in lines
        if re.match(r'\s+"[\w-]+>=[^#]*$', line)
    ]
    assert not bare, "\n" + "\n".join(bare)


def test_locks_name_no_host() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}: names a host; write it with `make lock`"
        for path in sorted((ROOT / "requirements").glob("*.lock"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if "://" in line or "index-url" in line or "find-links" in line
    ]
    assert not named, "\n" + "\n".join(named)


BAD = [
    (file_is_short, "src/a.py", "x = 1\n" * 451),
    (function_is_short, "src/a.py", "def f():\n" + "    x = 1\n" * 60),
    (name_says_what_is_inside, "src/holdfast/utils.py", ""),
    (name_says_what_is_inside, "src/holdfast/data/a.py", ""),
    (name_says_what_is_inside, "src/holdfast/lease_manager.py", ""),
    (class_says_what_it_is, "src/a.py", "class LeaseManager: ..."),
    (module_tells_why_it_exists, "src/a.py", "x = 1"),
    (nothing_is_mocked, "tests/a.py", "from unittest import mock"),
    (nothing_is_mocked, "tests/a.py", "from unittest.mock import Mock"),
    (nothing_is_mocked, "tests/a.py", "import unittest.mock"),
    (words_are_the_glossarys, "src/a.py", "is_master = True"),
    (words_are_the_glossarys, "src/a.py", "# ask the slaves"),
    (words_are_the_glossarys, "src/a.py", "class NodeList: ..."),
    (silenced_warning_says_why, "src/a.py", "x = 1  # noqa: E741"),
    (silenced_warning_says_why, "src/a.py", "x = 1  # noqa"),
    (silenced_warning_says_why, "src/a.py", "x = 1  # type: ignore[misc]"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_a_rule_finds_what_it_forbids(rule: Rule, path: str, text: str) -> None:
    (fault,) = rule(Source.parse(path, text))
    assert fault.startswith(f"{path}:1: ")


GOOD = [
    (function_is_short, "src/a.py", 'def f():\n    """Help.\n' + "    more\n" * 80 + '    """\n'),
    (name_says_what_is_inside, "src/holdfast/database.py", ""),
    (words_are_the_glossarys, "src/a.py", "# a remastered, nodeless anode"),
    (words_are_the_glossarys, "src/holdfast/traffic/haproxy.py", "# the master socket"),
    (silenced_warning_says_why, "src/a.py", "x = 1  # noqa: E741, F841 - the paper calls it so"),
    (
        silenced_warning_says_why,
        "src/a.py",
        "x = 1  # type: ignore[misc, no-any-return]  # the stubs are wrong",
    ),
]


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_a_rule_leaves_the_rest_alone(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(Source.parse(path, text)))
