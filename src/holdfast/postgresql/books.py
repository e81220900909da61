"""What a server's care may ask of the cluster. The agent answers; nothing here decides who is primary."""

from typing import Protocol

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, MemberName, ServiceName, member_of, service_of
from holdfast.model.postgresql import PostgresServer
from holdfast.postgresql.bootstrap import Passwords
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.settings import Settings, Upstream


class Books(Protocol):
    """What is known of a service beyond this host."""

    def primary(self, service: ServiceName) -> MemberName | None:
        """Return whom to follow: who holds the service's lease elsewhere, from when it told that it is primary."""

    def place(self, service: ServiceName, member: MemberName) -> Upstream | None:
        """Return where the member's server is reached."""

    def members(self, service: ServiceName) -> tuple[MemberName, ...]:
        """Return all members that the file names, in its order: the first one makes the first data."""

    def peers(self, service: ServiceName) -> tuple[str, ...]:
        """Return the addresses of all members."""

    def passwords(self, service: ServiceName) -> Passwords:
        """Return how members prove to each other who they are."""

    def others(self, component: ComponentId) -> dict[MemberName, MemberReport]:
        """Return how the members on other hosts are, as their hosts say."""

    async def system(self, service: ServiceName) -> str | None:
        """Return the system identifier that the service's data must have; empty: there is none yet. None: not known."""

    async def claim_system(self, service: ServiceName, system: str) -> str | None:
        """Write the identifier down unless one stands there; return what stands there. None: not known."""


def instance_of(component: ComponentId, server: PostgresServer) -> Instance:
    """Return the component's instance."""
    return Instance(
        member_of(component),
        server.data,
        server.programs,
        server.port,
        listen=server.host,
        user=server.user,
        superuser=server.superuser,
    )


def source_of(component: ComponentId, books: Books) -> Upstream | None:
    """Return whom the member has to follow; None if that is itself, or nobody yet."""
    service = service_of(component)
    primary = books.primary(service)
    return None if primary is None else books.place(service, primary)


def settings_of(
    component: ComponentId, server: PostgresServer, books: Books, upstream: Upstream | None
) -> Settings:
    """Return what the instance shall be."""
    peers = books.peers(service_of(component))
    return Settings(upstream=upstream, is_standby=True, parameters=server.parameters, peers=peers)
