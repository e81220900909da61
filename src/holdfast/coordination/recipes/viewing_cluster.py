"""From keys to the view: what stands in the coordinator, decoded key by key.

Each key is understood by itself. Bytes that nobody understands hide that one key and nothing else, and are told by name.
Keys of which this version of holdfast knows nothing are left alone.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, assert_never

from holdfast.coordination.recipes.seats import Claim as SeatClaim
from holdfast.coordination.recipes.signing import Seal
from holdfast.coordination.recipes.values import NotUnderstoodError, decoded, number_in
from holdfast.coordination.recipes.wishing import wish_in
from holdfast.model.cluster import Assignment, Claim, ClusterView, HostReport, LastLease, Lease
from holdfast.model.postgresql import Record
from holdfast.model.value import Value, replace
from holdfast.ports.coordination import Beat, Change, Entry, Sighting, Snapshot

Part: TypeAlias = Literal[
    "leader", "hosts", "leases", "lease_epochs", "last_leases", "assignments", "wishes", "records"
]


class Place(Value, frozen=True):
    """Where in the view a key belongs: `view.PART[name]`, or `view.leader`."""

    part: Part
    name: str = ""


class Decoded(Value, frozen=True):
    """What stands below a root."""

    view: ClusterView
    not_understood: dict[str, str] = {}  # key -> why


def decode(root: str, entries: Mapping[str, Entry], seal: Seal) -> Decoded:
    """Return what these entries say. `seal` is the one of wishes: one with a false signature is not understood."""
    keeper = ViewKeeper(root, seal)
    keeper.see(Snapshot(dict(entries)))
    return Decoded(keeper.view, keeper.not_understood)


class ViewKeeper:
    """Keeps the view up to date by a watch of the root; decodes again only what has changed."""

    def __init__(self, root: str, seal: Seal) -> None:
        self._root = root
        self._seal = seal
        self._entries: dict[str, Entry] = {}
        self._not_understood: dict[str, str] = {}
        self.view = ClusterView()

    @property
    def not_understood(self) -> dict[str, str]:
        """Return the keys that say nothing to us, and why."""
        return dict(self._not_understood)

    @property
    def policy(self) -> Entry | None:
        """Return what stands in `policy/current`: SharedPolicy reads it."""
        return self._entries.get(f"{self._root}/policy/current")

    def see(self, sighting: Sighting) -> ClusterView:
        """Return the view after this sighting: the very same object if it says nothing else than before."""
        match sighting:
            case Snapshot(entries=entries):
                gone = [entry for key, entry in self._entries.items() if key not in entries]
                news = [entry for key, entry in entries.items() if self._entries.get(key) != entry]
                self._take(gone, news)
            case Change(kind="put", entry=entry):
                self._take([], [entry])
            case Change(entry=entry):
                self._take([entry], [])
            case Beat():
                pass
            case _:
                assert_never(sighting)
        return self.view

    def _take(self, gone: list[Entry], news: list[Entry]) -> None:
        parts: dict[str, Any] = {}  # of the next view: each is copied once, however much is new in it
        for entry in gone:
            self._entries.pop(entry.key, None)
            self._not_understood.pop(entry.key, None)
            self._set(parts, place_of(self._root, entry.key), None)
        for entry in news:
            before = self._entries.get(entry.key)
            self._entries[entry.key] = entry
            if before is None or before.value != entry.value:
                self._set(parts, place_of(self._root, entry.key), self._understood(entry))
        if parts:
            self.view = replace(self.view, **parts)

    def _understood(self, entry: Entry) -> Value | int | None:
        place = place_of(self._root, entry.key)
        if place is None:
            return None
        self._not_understood.pop(entry.key, None)
        try:
            return _value_of(place, entry.value, self._seal)
        except NotUnderstoodError as error:
            self._not_understood[entry.key] = str(error)
            return None

    def _set(self, parts: dict[str, Any], place: Place | None, value: Value | int | None) -> None:
        if place is None:
            return
        if place.part == "leader":
            if parts.get("leader", self.view.leader) != value:
                parts["leader"] = value
            return
        present: dict[str, Value | int] = parts.get(place.part, getattr(self.view, place.part))
        if present.get(place.name) == value:
            return
        if place.part not in parts:
            parts[place.part] = dict(present)
        if value is None:
            del parts[place.part][place.name]
        else:
            parts[place.part][place.name] = value


def place_of(root: str, key: str) -> Place | None:
    """Return where the key belongs; None if it is no part of the view."""
    match key.removeprefix(f"{root}/").split("/"):
        case ["leader", "seats", "0"]:
            return Place("leader")
        case ["hosts", host]:
            return Place("hosts", host)
        case ["leases", service, "holder"]:
            return Place("leases", service)
        case ["leases", service, "epoch"]:
            return Place("lease_epochs", service)
        case ["leases", service, "last"]:
            return Place("last_leases", service)
        case ["assignments", service]:
            return Place("assignments", service)
        case ["wishes", service]:
            return Place("wishes", service)
        case ["services", service, "record"]:
            return Place("records", service)
        case _:
            return None


def _value_of(place: Place, value: bytes, seal: Seal) -> Value | int:
    match place.part:
        case "leader":
            claim = decoded(value, SeatClaim)
            return Claim(claim.by, claim.token)
        case "hosts":
            return decoded(value, HostReport)
        case "lease_epochs":
            return number_in(value)
        case "leases":
            lease = decoded(value, Lease)
            number_in(str(lease.epoch).encode())
            return _of_its_key(place, lease.service, lease)
        case "last_leases":
            last = decoded(value, LastLease)
            return _of_its_key(place, last.lease.service, last)
        case "assignments":
            assignment = decoded(value, Assignment)
            return _of_its_key(place, assignment.service, assignment)
        case "wishes":
            wish = wish_in(value, seal)
            return _of_its_key(place, wish.service, wish)
        case "records":
            return decoded(value, Record)
        case _:
            assert_never(place.part)


def _of_its_key(place: Place, service: str, value: Value) -> Value:
    if service != place.name:
        raise NotUnderstoodError(f"it is about {service!r}")
    return value
