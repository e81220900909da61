"""From a URL to a coordinator. A driver, and the library it needs, is imported only when its URL is used."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from holdfast.client.errors import AddressError
from holdfast.ports.coordination import Coordinator

Connect: TypeAlias = Callable[[str], Awaitable[Coordinator]]  # each driver's `connect(url)`

SCHEMES = {"zookeeper": "zookeeper", "etcd": "etcd"}  # scheme -> extra of the package that brings its library
EXAMPLES = "embedded:///var/lib/shop, zookeeper://h1:2181,h2:2181,h3:2181 or etcd://h1:2379,h2:2379,h3:2379"


async def coordinator_at(url: str) -> Coordinator:
    """Return the coordinator that `url` names; AddressError if there is none such."""
    parts = urlsplit(url)
    if parts.scheme == "embedded":
        return _embedded(url, parts.netloc, parts.path)
    extra = SCHEMES.get(parts.scheme)
    if extra is None:
        raise AddressError(f"{url!r} names no coordinator; write {EXAMPLES}")
    try:
        connect: Connect = import_module(f"holdfast.coordination.{parts.scheme}").connect
    except ModuleNotFoundError as error:
        message = f"{parts.scheme}:// needs the Python package {error.name}: pip install 'holdfast[{extra}]'"
        raise AddressError(message) from error
    return await connect(url)


def _embedded(url: str, host: str, path: str) -> Coordinator:
    if host or not path.startswith("/") or path == "/":
        message = f"{url!r}: the embedded store is a folder of this host; write embedded:///var/lib/shop"
        raise AddressError(message)
    from holdfast.coordination.embedded import EmbeddedCoordinator  # noqa: PLC0415 - SQLite only for who uses it

    return EmbeddedCoordinator(Path(path))
