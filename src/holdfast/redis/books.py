"""What a server's care may ask of its surroundings. The agent answers; nothing here decides who is primary."""

import asyncio
from typing import Protocol

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, Epoch, MemberName, ServiceName, service_of
from holdfast.model.redis import RedisServer
from holdfast.model.standing import Role
from holdfast.model.tags import Tags
from holdfast.redis.asking import Where


class Books(Protocol):
    """What is known of a service beyond one member."""

    def primary(self, service: ServiceName) -> MemberName | None:
        """Return whom to follow: who serves under the newest lease, from when it told so."""

    def address(self, service: ServiceName, member: MemberName) -> tuple[str, int] | None:
        """Return where the member's server is reached."""

    def members(self, service: ServiceName) -> tuple[MemberName, ...]:
        """Return all members that the file names, in its order."""

    def others(self, component: ComponentId) -> dict[MemberName, MemberReport]:
        """Return how the other members are, as far as they told."""

    def tags(self, service: ServiceName) -> dict[MemberName, Tags]:
        """Return what the operator says of each member."""

    def newest_lease(self, service: ServiceName) -> Epoch:
        """Return the epoch of the newest lease that is known of here, held or not."""

    def lease(self, epoch: Epoch) -> Epoch:
        """Return the lease under which `epoch` is given."""

    def password(self, service: ServiceName) -> str:
        """Return what members prove to each other who they are with."""

    def stamp_key(self, service: ServiceName) -> str:
        """Return the name of the key that tells whose data it is."""

    def role(self, component: ComponentId) -> Role | None:
        """Return the role that a member here has now."""

    def grip(self, component: ComponentId) -> asyncio.Lock:
        """Return what is held while a member here is told whom to follow: its care and a promotion must not cross."""


def where_of(component: ComponentId, server: RedisServer, books: Books) -> Where:
    """Return how a member here is asked."""
    return Where(server.host, server.port, books.password(service_of(component)))


def source_of(component: ComponentId, books: Books) -> tuple[str, int] | None:
    """Return whom the member has to follow; None if nobody, for now."""
    service = service_of(component)
    primary = books.primary(service)
    return None if primary is None else books.address(service, primary)
