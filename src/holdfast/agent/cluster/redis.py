"""Redis on several hosts: what the care for its servers may know of the cluster. The care itself is that of one host."""

from collections.abc import Callable

from holdfast.agent.cluster.clustering import Clustering
from holdfast.agent.cluster.member_books import MemberBooks
from holdfast.agent.log import Line
from holdfast.agent.redis import Grips, Surroundings, look_after_redis, served_where
from holdfast.agent.turning import Turning
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import MemberReport, lease_of
from holdfast.model.ids import ComponentId, Epoch, MemberName, ServiceName, component_id, service_of
from holdfast.model.standing import Role
from holdfast.model.state import State
from holdfast.ports.components import Components
from holdfast.redis.adapter import Redis


class RedisBooks(MemberBooks, Grips):
    """What stands in the coordinator and in the file, for `redis.books`."""

    def __init__(
        self,
        root: str,
        secret: bytes,
        state: Callable[[], ClusterState],
        elsewhere: Callable[[], dict[ComponentId, MemberReport]],
        local: Callable[[], State],
    ) -> None:
        MemberBooks.__init__(self, root, secret, state, elsewhere)
        Grips.__init__(self, local)

    def primary(self, service: ServiceName) -> MemberName | None:
        """Return whom to follow: nobody who says that it is no primary any more, though it holds the lease.

        A server that was started again may have lost its memory. Nobody waits for it then: the others stand still, so that they are compared.
        """
        name = super().primary(service)
        report = self._elsewhere().get(component_id(service, name)) if name is not None else None
        return None if report is not None and report.is_clear else name

    def lease(self, epoch: Epoch) -> Epoch:
        """Return the lease under which `epoch` is given."""
        return lease_of(epoch)

    def password(self, service: ServiceName) -> str:
        """Return what follows from the cluster's key."""
        return self._derived("redis", service, "member")

    def stamp_key(self, service: ServiceName) -> str:
        """Return the name of the key that tells whose data it is."""
        return f"holdfast:{self._root.strip('/')}/{service}"

    def serves(self, component: ComponentId) -> bool:
        """Tell whether the member is primary under the lease that is held now, as far as is known here."""
        state, service = self._state(), service_of(component)
        lease = state.view.leases.get(service) if state.view is not None else None
        if lease is None or component_id(service, lease.member) != component:
            return False
        if lease.host != state.me:
            return self.primary(service) == lease.member
        return service in state.held and self.role(component) is Role.PRIMARY


def look_after_cluster_redis(
    clustering: Clustering,
    secret: bytes,
    turning: Turning,
    processes: Components,
    say: Callable[[Line], None],
) -> Redis:
    """Have the cluster's Redis servers of this host looked after; return the adapter that runs them."""
    books = RedisBooks(
        clustering.book.root,
        secret,
        lambda: clustering.turning.state,
        lambda: clustering.elsewhere,
        lambda: turning.state,
    )
    found = look_after_redis(
        books,
        lambda: served_where(turning.state, books, books.serves),
        Surroundings(turning, processes, say),
        clustering.refresh,
    )
    clustering.turning.follow_view(found.care.wake)
    others = clustering.supplemented
    clustering.supplemented = lambda reports: found.care.supplemented(others(reports))
    works = (
        ("redis", found.care.run),
        ("sentinel", found.sentinels.run),
        ("reading redis", found.reading.run),
    )
    clustering.more_works = (*clustering.more_works, *works)
    return found.adapter
