"""Tokens: secrets that people and programs show to have more access than the certificate they came with.

The agent keeps no token, only its SHA-256, one line each in `tokens` of the state directory:

    NAME ACCESS SHA256

The file is read again whenever it changed, so deleting a line revokes the token at once, also for who is connected. A
file that others than its owner can read or write is not believed at all.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path
from typing import TypeAlias

from holdfast.agent.access import Access
from holdfast.model.value import Value

TOKENS = "tokens"
BYTES_MAX = 1 << 20
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_LINE = re.compile(rf"({NAME}) ({'|'.join(Access)}) ([0-9a-f]{{64}})")
_PREFIX = "hf_"  # so that scanners of repositories and logs know one when they see it

_Stamp: TypeAlias = tuple[int, int, int, int]


class Token(Value, frozen=True):
    """One line."""

    name: str
    access: Access
    digest: str


class TokensError(Exception):
    """The file cannot be believed; the text says why."""


class Tokens:
    """The file, as the agent knows it. Calls read the disk: they are made in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._tokens: tuple[Token, ...] = ()

    def find(self, digest: str) -> Token | None:
        """Return the token of that digest; None if there is none. TokensError if the file cannot be believed."""
        self._refresh()
        found = None
        for token in self._tokens:  # all of them: how long it takes must not tell which one was close
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def _refresh(self) -> None:
        try:
            stamp = _stamp(self._path.stat())
        except FileNotFoundError:
            self._stamp, self._tokens = None, ()
            return
        except OSError as error:
            raise TokensError(f"{self._path}: {error.strerror}") from error
        if stamp != self._stamp:
            self._tokens = read_tokens(self._path)
            self._stamp = stamp


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def fresh_token() -> str:
    """Return a new token: 256 bits of chance."""
    return _PREFIX + secrets.token_urlsafe(32)


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Return the tokens in the file, none if it is missing; TokensError if it cannot be read or believed."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise TokensError(f"{path}: {error.strerror}") from error
    with os.fdopen(file, "rb") as opened:
        _refuse_others(path, os.fstat(file))
        text = opened.read(BYTES_MAX + 1)
    if len(text) > BYTES_MAX:
        raise TokensError(f"{path}: longer than {BYTES_MAX} bytes")
    return tuple(_tokens_in(path, text.decode("ascii", "replace")))


def write_tokens(path: Path, tokens: tuple[Token, ...]) -> None:
    """Replace the file as a whole; OSError if that cannot be done."""
    text = "".join(f"{token.name} {token.access} {token.digest}\n" for token in tokens)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(file)
        if os.geteuid() == 0:
            # Root writes it for the agent's user, whose folder it is in.
            os.fchown(file, path.parent.stat().st_uid, path.parent.stat().st_gid)
    fresh.replace(path)


def _tokens_in(path: Path, text: str) -> list[Token]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise TokensError(f"{path}:{number}: must be NAME ACCESS SHA256")
        found.append(Token(match[1], Access(match[2]), match[3]))
    return found


def _refuse_others(path: Path, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise TokensError(f"{path}: not a file")
    if seen.st_uid not in (0, os.geteuid()):
        raise TokensError(f"{path}: belongs to uid {seen.st_uid}, and must to the agent's user or root")
    if seen.st_mode & 0o077:
        raise TokensError(f"{path}: others than its owner can use it; chmod 600 {path}")


def _stamp(seen: os.stat_result) -> _Stamp:
    # The time of the last change of the inode is there for chmod and chown.
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
