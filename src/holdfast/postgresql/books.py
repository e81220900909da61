"""What a server's care may ask of the cluster. The agent answers; nothing here decides who is primary."""

from typing import Protocol

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, Epoch, MemberName, ServiceName, member_of, service_of
from holdfast.model.postgresql import Commit, Kept, PostgresServer, Record
from holdfast.model.tags import Tags
from holdfast.postgresql.bootstrap import Passwords
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.settings import Settings, Upstream
from holdfast.postgresql.synchronous import BLOCKING, Wish


class Books(Protocol):
    """What is known of a service beyond this host."""

    def primary(self, service: ServiceName) -> MemberName | None:
        """Return whom to follow: who holds the service's lease elsewhere, from when it told that it is primary."""

    def successor(self, service: ServiceName) -> MemberName | None:
        """Return who on another host shall serve next, or does; None if nobody there."""

    def primary_under(self, service: ServiceName) -> Epoch:
        """Return the epoch of the lease under which `primary` serves; 0: there is nobody to follow."""

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

    def tags(self, service: ServiceName) -> dict[MemberName, Tags]:
        """Return what the operator says of each member."""

    def is_known(self) -> bool:
        """Tell whether it was seen what stands in the coordinator: an agent that has just started knows nothing."""

    def newest_lease(self, service: ServiceName) -> Epoch:
        """Return the epoch of the newest lease that this host has heard of, held or not."""

    def record(self, service: ServiceName) -> Record | None:
        """Return who may be promoted, as last seen; None: commit is asynchronous, so far."""

    async def read_record(self, service: ServiceName) -> Kept | str:
        """Return who may be promoted, as the coordinator's majority knows it; in words why it is not known."""

    async def write_record(
        self, service: ServiceName, record: Record | None, after: Kept, lease: Epoch
    ) -> str:
        """Put the record in the place of `after` if this host holds the lease of that epoch; return why not, if so."""

    async def begin_timeline(self, service: ServiceName, above: int, lease: Epoch) -> int | str:
        """Return a number for a timeline, larger than `above`, that nobody else is ever given; in words why there is none."""

    async def why_not_holder(self, service: ServiceName, lease: Epoch) -> str:
        """Return why this host does not hold the lease of that epoch, as the coordinator's majority knows; empty: it does."""

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
        guest="" if server.follows is None else server.follows.user,
        config=server.config,
    )


def source_of(component: ComponentId, books: Books) -> Upstream | None:
    """Return whom the member has to follow; None if that is itself, or nobody yet."""
    service = service_of(component)
    primary = books.primary(service)
    return None if primary is None else books.place(service, primary)


def settings_of(
    component: ComponentId,
    server: PostgresServer,
    books: Books,
    upstream: Upstream | None,
    synchronous: str | None = None,
) -> Settings:
    """Return what the instance shall be. `synchronous`: for whom it waits as primary; None: as at rest."""
    return Settings(
        upstream=upstream,
        is_standby=True,
        synchronous=at_rest(server) if synchronous is None else synchronous,
        parameters=server.parameters,
        peers=books.peers(service_of(component)),
    )


def at_rest(server: PostgresServer) -> str:
    """Return for whom a standby would wait if it became primary behind our back: nothing that it commits is acknowledged.

    It also spares a promotion a trap: whether commits wait at all is told to backends by the checkpointer, which may be
    busy. A server that had a name to wait for all along waits from its first commit on.
    """
    return "" if server.commit is Commit.ASYNCHRONOUS else BLOCKING.setting


def wish_of(server: PostgresServer) -> Wish:
    """Return what the operator wants of commits."""
    return Wish(server.commit, server.acknowledged_by, server.is_strict)
