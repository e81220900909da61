"""Asking etcd through its JSON gateway: the endpoints in turn, and what a missing answer proves.

Three things can become of a request, and the difference is what safety rests on: it was answered; it surely changed
nothing (no connection, or etcd refused it); or nobody knows. Which of them it was is read from the kind of the
failure and from the gRPC status code, a closed list, never from the wording of a message, which changes between releases.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
import msgspec

from holdfast.coordination.clock import now
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.ports.coordination import UnavailableError, UnknownError

NOT_FOUND = 5
UNAUTHENTICATED = 16
INVALID_ARGUMENT = 3
# With these etcd says that it did not carry the request out: invalid argument, not found, already exists, permission
# denied, resource exhausted, failed precondition, out of range, unimplemented, unauthenticated. After any other
# (unavailable, deadline exceeded, ...) it may still have done so.
_REFUSALS = frozenset({3, 5, 6, 7, 8, 9, 11, 12, 16})
_UNKNOWN = 2
_PAUSE: Duration = 20 * MILLISECOND  # between rounds over all endpoints
_ROUNDS_MAX = 100


class Account(msgspec.Struct, frozen=True):
    """Who we are to etcd."""

    user: str
    password: str


class RefusedError(Exception):
    """Etcd has not carried the request out, and says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"etcd refused: {message} (code {code})")
        self.code = code


class _UnreachableError(Exception):
    """The request has not left this host."""


class _UnansweredError(Exception):
    """The request may have been carried out."""


class _Problem(msgspec.Struct):
    code: int = _UNKNOWN
    message: str = ""


class _Token(msgspec.Struct):
    token: str


A = TypeVar("A")


class Gateway:
    """The endpoints of one ensemble. The one that answered last is asked first."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        limit: Duration,
        account: Account | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._limit = limit  # for one attempt
        self._account = account
        self._tls = tls
        self._token = ""
        self._first = 0
        self._http: aiohttp.ClientSession | None = None
        self._is_closed = False

    @property
    def patience(self) -> Duration:
        """Return how long a read may take: enough for every endpoint, and for an election."""
        return self._limit * (len(self._endpoints) + 3)

    async def read(self, path: str, body: Mapping[str, Any], kind: type[A], *, within: Duration = 0) -> A:
        """Return the answer to a question that changes nothing; UnavailableError after `within`."""
        return (await self._until(path, body, kind, within or self.patience, may_repeat=True))[0]

    async def write(self, path: str, body: Mapping[str, Any], kind: type[A]) -> A:
        """Return the answer to a request that is sent once at most; UnknownError if none came."""
        return (await self._until(path, body, kind, self.patience, may_repeat=False))[0]

    async def read_at(
        self, path: str, body: Mapping[str, Any], kind: type[A], *, within: Duration
    ) -> tuple[A, str]:
        """Return the answer and which endpoint gave it."""
        return await self._until(path, body, kind, within, may_repeat=True)

    async def read_from(
        self, endpoint: str, path: str, body: Mapping[str, Any], kind: type[A], *, within: Duration
    ) -> A:
        """Return what this one endpoint answers."""
        try:
            return await self._post(endpoint, path, body, kind, within)
        except (_UnreachableError, _UnansweredError) as error:
            self.leave(endpoint)  # it answers, but not with a majority behind it: others may do better
            raise UnavailableError(f"no answer from {endpoint}: {error}") from None
        except asyncio.CancelledError:
            self.leave(endpoint)
            raise

    def present(self) -> str:
        """Return the endpoint that is asked first: the one that answered last."""
        return self._endpoints[self._first % len(self._endpoints)]

    def leave(self, endpoint: str) -> None:
        """Ask another endpoint first from now on. Several requests may have found out at once: it is left once."""
        if self.present() == endpoint:
            self._first += 1

    async def stream(self, endpoint: str, path: str, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        """Return an answer that does not end. The caller closes it."""
        try:
            async with asyncio.timeout(self._limit / SECOND):
                return await self._open().post(
                    endpoint + path,
                    data=msgspec.json.encode(body),
                    # Without this header a member that has lost its majority keeps the stream open, and silent.
                    headers={**self._headers(), "Grpc-Metadata-hasleader": "true"},
                    timeout=aiohttp.ClientTimeout(total=None),
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"no stream from {endpoint}: {_words(error)}") from None

    async def close(self) -> None:
        """Let go of all connections."""
        self._is_closed = True
        if self._http is not None:
            await self._http.close()
            self._http = None

    # --- one request ----------------------------------------------------------------------------------

    async def _until(
        self, path: str, body: Mapping[str, Any], kind: type[A], within: Duration, *, may_repeat: bool
    ) -> tuple[A, str]:
        end = now() + within
        reason: Exception | str = "no time"
        for _ in range(_ROUNDS_MAX):
            for _ in self._endpoints:
                endpoint = self.present()
                limit = min(self._limit, end - now())
                if limit <= 0:
                    raise UnavailableError(f"etcd has no answer: {reason}")
                try:
                    return await self._post(endpoint, path, body, kind, limit), endpoint
                except _UnreachableError as error:
                    reason = error
                except _UnansweredError as error:
                    reason = error
                    if not may_repeat:
                        self.leave(endpoint)
                        raise UnknownError(f"no answer from {endpoint}: {error}") from None
                except asyncio.CancelledError:
                    # Who asked has waited long enough, most likely for this very endpoint: begin with another next time.
                    self.leave(endpoint)
                    raise
                self.leave(endpoint)
            await asyncio.sleep(_PAUSE / SECOND)
        raise UnavailableError(f"etcd has no answer: {reason}")

    async def _post(
        self, endpoint: str, path: str, body: Mapping[str, Any], kind: type[A], limit: Duration
    ) -> A:
        if self._account is not None and not self._token:
            await self._sign_in(endpoint, limit)
        try:
            return await self._exchange(endpoint, path, body, kind, limit)
        except RefusedError as error:
            # A token runs out, or is from before a change of the accounts. The request was refused: asking again is safe.
            if self._account is None or error.code not in {UNAUTHENTICATED, INVALID_ARGUMENT}:
                raise
            await self._sign_in(endpoint, limit)
            return await self._exchange(endpoint, path, body, kind, limit)

    async def _sign_in(self, endpoint: str, limit: Duration) -> None:
        assert self._account is not None
        self._token = ""
        body = {"name": self._account.user, "password": self._account.password}
        try:
            self._token = (await self._exchange(endpoint, "/v3/auth/authenticate", body, _Token, limit)).token
        except _UnansweredError as error:
            # What was to be asked with the token has not been sent.
            raise _UnreachableError(f"cannot sign in: {error}") from None

    async def _exchange(
        self, endpoint: str, path: str, body: Mapping[str, Any], kind: type[A], limit: Duration
    ) -> A:
        try:
            async with (
                asyncio.timeout(limit / SECOND),
                self._open().post(
                    endpoint + path,
                    data=msgspec.json.encode(body),
                    headers=self._headers(),
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response,
            ):
                status, answer = response.status, await response.read()
        except aiohttp.ClientConnectorError as error:
            raise _UnreachableError(str(error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _UnansweredError(_words(error)) from None
        if status != 200:
            raise _judged(status, answer)
        try:
            return msgspec.json.decode(answer, type=kind, strict=False)  # the gateway writes int64 as strings
        except msgspec.MsgspecError as error:
            raise _UnansweredError(f"not an answer of etcd: {error}") from None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    def _open(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise UnavailableError("closed")
        if self._http is None:  # made at the first use: aiohttp wants to be inside the event loop
            connector = aiohttp.TCPConnector(limit=0, ssl=self._tls if self._tls is not None else True)
            self._http = aiohttp.ClientSession(connector=connector)
        return self._http


def _words(error: Exception) -> str:
    """Return what kept an answer from us, for people: that its time was over says nothing by itself."""
    return "none came in time" if isinstance(error, TimeoutError) else repr(error)


def _judged(status: int, answer: bytes) -> Exception:
    try:
        problem = msgspec.json.decode(answer, type=_Problem, strict=False)
    except msgspec.MsgspecError:
        return _UnansweredError(f"HTTP status {status}")
    if problem.code in _REFUSALS:
        return RefusedError(problem.code, problem.message)
    return _UnansweredError(f"{problem.message} (code {problem.code})")
