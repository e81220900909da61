"""Programs to run: as a list, or as one line that is split into words. Never through a shell.

A shell between us and the program would take our signals, hide its exit code and give every value a second
meaning. Who needs one writes it out: [sh, -c, "..."].
"""

import re
import shlex
from pathlib import Path

from holdfast.config.document import Node, Scalar, Sequence
from holdfast.config.kinds import Kind, RefusedError, Schema, Text, quoting_hint
from holdfast.config.problems import quote
from holdfast.config.scope import INVALID, Invalid, Scope

# Words that mean something to a shell, unless they were quoted; a list says that they are meant as they are.
_SHELL_WORD = re.compile(r"\|\|?|&&?|;|.*;|\d?[<>].*|&>.*|.*\$[({A-Za-z_].*|.*`.*", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_AS_LIST = 'write a list to pass it on as it is, or [sh, -c, "..."] to have a shell'


class Command(Kind, frozen=True):
    """A program and its arguments."""

    def read(self, node: Node, scope: Scope) -> tuple[str, ...] | Invalid:
        """Return the arguments, the program first; a relative program with a slash starts at the file's folder."""
        match node:
            case Scalar(is_null=False):
                words = self._split(node, scope)
            case Sequence(items=items) if items:
                words = self._items(items, scope)
            case _:
                return scope.refuse(node, f"must be {self.words}", quoting_hint(node))
        if words is INVALID:
            return INVALID
        if not words or not words[0]:
            return scope.refuse(node, "names no program", "the first word is the program")
        try:
            return (resolve(words[0], scope.folder, keep_bare=True), *words[1:])
        except RefusedError as refused:
            return scope.refuse(node, refused.message, refused.hint)

    def _split(self, scalar: Scalar, scope: Scope) -> tuple[str, ...] | Invalid:
        # Split first, fill in after: a value with a blank in it stays one argument.
        try:
            words = shlex.split(scalar.text)
        except ValueError as error:
            return scope.refuse(scalar, f"cannot be split into words: {error}".lower(), "close the quote")
        for word in words:
            if _SHELL_WORD.fullmatch(word):
                return scope.refuse(scalar, f"{quote(word)} needs a shell, and there is none", _AS_LIST)
        if words and _ASSIGNMENT.fullmatch(words[0]):
            return scope.refuse(scalar, f"{quote(words[0])} is no program", "set variables under env:")
        filled = tuple(scope.fill(scalar, word) for word in words)
        return INVALID if INVALID in filled else tuple(word for word in filled if word is not INVALID)

    def _items(self, items: tuple[Node, ...], scope: Scope) -> tuple[str, ...] | Invalid:
        words: list[str] = []
        bad = False
        for item in items:
            if isinstance(item, Scalar) and not item.is_null:
                word = scope.fill(item)
            else:
                word = scope.refuse(item, "must be text", quoting_hint(item) or "put it in quotes")
            if word is INVALID:
                bad = True
            else:
                words.append(word)
        return INVALID if bad else tuple(words)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a program and its arguments, as a list or in one line"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        item = {"type": ["string", "number", "boolean"]}
        return {
            "oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": item, "minItems": 1}]
        }

    def written(self, value: tuple[str, ...]) -> list[str]:
        """Return the list."""
        return list(value)


class FilePath(Kind, frozen=True):
    """A path; relative ones start at the file's folder."""

    keep_bare: bool = False  # a word without a slash is a program on the PATH

    def read(self, node: Node, scope: Scope) -> str | Invalid:
        """Return the absolute path."""
        text: str | Invalid = Text(named=self.words).read(node, scope)
        if text is INVALID:
            return INVALID
        try:
            return resolve(text, scope.folder, keep_bare=self.keep_bare)
        except RefusedError as refused:
            return scope.refuse(node, refused.message, refused.hint)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a program" if self.keep_bare else "a path"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1}


class AccountName(Kind, frozen=True):
    """A user or a group of this host."""

    is_group: bool

    def read(self, node: Node, scope: Scope) -> str | Invalid:
        """Return the name, if it exists here and we may become it."""
        name: str | Invalid = Text(named=self.words).read(node, scope)
        if name is INVALID:
            return INVALID
        accounts = scope.accounts
        word = "group" if self.is_group else "user"
        if not (accounts.has_group(name) if self.is_group else accounts.has_user(name)):
            adding = "groupadd" if self.is_group else "useradd"
            return scope.refuse(
                node, f"there is no such {word} on this host", f"add it with {adding} --system NAME"
            )
        if accounts.is_root or name == accounts.user or (self.is_group and name in accounts.own_groups):
            return name
        hint = f"run holdfast as root, or remove the key to run as {accounts.user}"
        return scope.refuse(node, f"only root may run a program as another {word}", hint)

    @property
    def words(self) -> str:
        """What is allowed."""
        return f"the name of a {'group' if self.is_group else 'user'} of this host"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1}


def resolve(path: str, folder: Path, *, keep_bare: bool) -> str:
    """Return the absolute path; a bare word stays as it is if `keep_bare`, to be found on the PATH."""
    if not path:
        raise RefusedError("must not be empty")
    if path.startswith("~"):
        raise RefusedError("~ is known to shells only", "write the whole path")
    if keep_bare and "/" not in path:
        return path
    return str(folder / path)
