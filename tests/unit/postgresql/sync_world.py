"""A small world of primaries and standbys with synchronous commit: it draws histories and watches for losses.

Logs are tuples of commits. A promotion begins a new timeline. A deposed primary goes on as long as it likes, with the
record that it last saw. A rule that is set takes effect a little later; in between commits may be acknowledged under
either. Bugs can be planted, to see that the world finds them.
"""

import random
from dataclasses import dataclass, field
from enum import Enum, auto

from holdfast.model.postgresql import Record
from holdfast.model.value import replace
from holdfast.postgresql import synchronous
from holdfast.postgresql.position import Position
from holdfast.postgresql.synchronous import Member, Rule, Set, Wish, WriteDown

NO_RULE = Rule()


class Bug(Enum):
    """What can be planted."""

    LOOSENS_TOO_EARLY = auto()  # writes a looser record before the rule covers what came before
    SETS_FIRST = auto()  # sets a rule before the record that it needs
    COUNTS_ONE_LESS = auto()  # elects with one voter less
    COMPARES_STREAMING = auto()  # compares members that go on streaming
    OPENS_UNRECORDED = auto()  # the new primary leaves the old record as it is
    PROMOTES_ANYBODY = auto()  # forgets who is further
    READS_PLACE_EARLY = auto()  # measures what to cover before the rule is in force everywhere
    HEARS_WHO_SERVES = auto()  # compares with a primary that goes on


class CommitLostError(AssertionError):
    """An acknowledged commit is not in the log of the new primary."""


@dataclass
class Host:
    name: str
    log: tuple[tuple[int, int], ...] = ()  # (timeline, commit)
    timeline: int = 1
    follows: str | None = None
    is_up: bool = True
    is_primary: bool = False
    rule: Rule = NO_RULE  # in force
    asked: Rule = NO_RULE  # set, and about to be in force
    place: int | None = None  # in its log, read after the rule was in force
    record: Record | None = None  # as it last saw it, while it is primary
    waiting: list[int] = field(default_factory=list)  # places of commits that are not acknowledged

    @property
    def position(self) -> Position:
        return Position(self.timeline, len(self.log))


@dataclass
class Election:
    candidate: str
    heard: dict[str, Position]
    record: Record


class World:
    """Hosts, and a coordinator with one record."""

    def __init__(self, seed: int, size: int, wish: Wish, bug: Bug | None = None) -> None:
        self.chance = random.Random(seed)
        self.wish, self.bug = wish, bug
        names = [chr(ord("a") + number) for number in range(size)]
        self.hosts = {name: Host(name, follows="a") for name in names}
        self.record = Record("a")
        first = self.hosts["a"]
        first.follows, first.is_primary, first.record = None, True, self.record
        self.acknowledged: set[tuple[int, int]] = set()
        self.election: Election | None = None
        self.commits = 0
        self.promotions = 0

    def run(self, steps: int) -> None:
        """Draw `steps` things that happen."""
        happenings = (
            (self.commit, 4),
            (self.stream, 12),
            (self.plan, 8),
            (self.take_effect, 5),
            (self.toggle, 1),
            (self.stop_serving, 1),
            (self.call_election, 3),
            (self.decide_election, 3),
            (self.rejoin, 6),
        )
        actions = [action for action, _ in happenings]
        weights = [weight for _, weight in happenings]
        for _ in range(steps):
            self.chance.choices(actions, weights)[0]()
            self.acknowledge()

    # --- what happens ---

    def commit(self) -> None:
        if (primary := self._draw(is_primary=True)) is not None:
            self.commits += 1
            primary.log += ((primary.timeline, self.commits),)
            primary.waiting.append(len(primary.log))

    def stream(self) -> None:
        host = self._draw(is_primary=False)
        source = self.hosts.get(host.follows or "") if host is not None else None
        if host is None or source is None or not source.is_up or host.timeline > source.timeline:
            return
        if host.log != source.log[: len(host.log)]:
            return  # it diverged: it rejoins some day
        if len(host.log) < len(source.log) or host.timeline < source.timeline:
            host.log = source.log[: len(host.log) + self.chance.randint(1, 3)]
            host.timeline = source.timeline

    def acknowledge(self) -> None:
        for primary in self.hosts.values():
            if not primary.is_primary or not primary.is_up:
                continue
            flushed = self._flushed(primary)
            for place in list(primary.waiting):
                if any(
                    synchronous.is_covering(rule, flushed, place) for rule in (primary.rule, primary.asked)
                ):
                    primary.waiting.remove(place)
                    self.acknowledged.add(primary.log[place - 1])

    def plan(self) -> None:
        primary = self._draw(is_primary=True)
        if primary is None or primary.record is None or primary.asked != primary.rule:
            return
        members = [
            Member(
                host.name,
                is_streaming=host.follows == primary.name and host.is_up and self.chance.random() < 0.9,
            )
            for host in self.hosts.values()
            if host is not primary
        ]
        wanted = synchronous.choose(self.wish, members, primary.rule)
        is_covered = primary.place is not None and synchronous.is_covering(
            primary.rule, self._flushed(primary), primary.place
        )
        if self.bug is Bug.LOOSENS_TOO_EARLY:
            is_covered = True
        step = synchronous.next_step(primary.record, primary.rule, wanted, is_covered=is_covered)
        if self.bug is Bug.SETS_FIRST and isinstance(step, WriteDown) and primary.rule != wanted:
            step = Set(wanted, "")
        match step:
            case Set(rule=rule):
                primary.asked, primary.place = rule, None
                if self.bug is Bug.READS_PLACE_EARLY:
                    primary.place = len(primary.log)
            case WriteDown(record=record) if self.record == primary.record:
                self.record = primary.record = record
            case WriteDown():
                primary.record = None  # it lost the lease: somebody else wrote
            case _:
                if primary.place is None:
                    primary.place = len(primary.log)

    def take_effect(self) -> None:
        if (primary := self._draw(is_primary=True)) is not None:
            primary.rule = primary.asked

    def toggle(self) -> None:
        host = self.hosts[self.chance.choice([*self.hosts, self.record.primary])]
        host.is_up = not host.is_up
        if not host.is_up:
            host.waiting = []  # nobody is told any more

    def stop_serving(self) -> None:
        """Have a primary stop in good order: from now on its log is as it is, and who waited is told nothing."""
        primary = self._draw(is_primary=True)
        if primary is not None and self.chance.random() < 0.3:
            primary.is_primary, primary.waiting, primary.record = False, [], None

    def call_election(self) -> None:
        candidate = self._draw(is_primary=False)
        voters = [self.hosts[name] for name in self.record.voters if not self.hosts[name].is_primary]
        if voters and self.chance.random() < 0.8:  # mostly somebody who has a chance
            candidate = self.chance.choice(voters)
        if candidate is None or not candidate.is_up or self.election is not None:
            return
        if self.hosts[self.record.primary].is_up and self.chance.random() < 0.8:
            return  # mostly there is a reason
        heard = {}
        for host in self.hosts.values():
            serves = host.is_primary and self.bug is not Bug.HEARS_WHO_SERVES
            if host is candidate or (host.is_up and not serves and self.chance.random() < 0.8):
                if self.bug is not Bug.COMPARES_STREAMING:
                    host.follows = None
                heard[host.name] = host.position
        self.election = Election(candidate.name, heard, self.record)

    def decide_election(self) -> None:
        if self.election is None:
            return
        election, self.election = self.election, None
        candidate, record = self.hosts[election.candidate], election.record
        judged = record
        if self.bug is Bug.COUNTS_ONE_LESS:
            judged = replace(record, electing=record.electing - 1)
        refusal = synchronous.why_not(judged, candidate.name, election.heard)
        if self.bug is Bug.PROMOTES_ANYBODY and "is further" in refusal:
            refusal = ""
        if refusal or not candidate.is_up or self.record != record:
            return
        followers = [Member(name, is_streaming=True) for name in election.heard if name != candidate.name]
        rule = synchronous.rule_after(self.wish, followers)
        if self.bug is not Bug.OPENS_UNRECORDED:
            self.record = synchronous.record_after(candidate.name, election.heard, rule)
        self.open(candidate, rule)

    def open(self, host: Host, rule: Rule) -> None:
        lost = self.acknowledged - set(host.log)
        if lost:
            raise CommitLostError(f"{host.name} lacks {sorted(lost)}")
        self.promotions += 1
        host.timeline = 1 + max(each.timeline for each in self.hosts.values())
        host.is_primary, host.follows, host.waiting = True, None, []
        host.rule = host.asked = rule
        host.place, host.record = None, self.record

    def rejoin(self) -> None:
        """Let a host follow the primary of the record, rewound if it has to be; a deposed primary steps down."""
        primary = self.hosts[self.record.primary]
        host = self.hosts[self.chance.choice(sorted(self.hosts))]
        in_election = self.election is not None and host.name in self.election.heard
        if host is primary or not host.is_up or not primary.is_up or not primary.is_primary or in_election:
            return
        host.is_primary, host.follows, host.record, host.waiting = False, primary.name, None, []
        if host.log != primary.log[: len(host.log)] or host.timeline > primary.timeline:
            same = 0
            while same < min(len(host.log), len(primary.log)) and host.log[same] == primary.log[same]:
                same += 1
            host.log, host.timeline = primary.log[:same], primary.timeline

    # --- what is so ---

    def _draw(self, *, is_primary: bool) -> Host | None:
        able = [host for host in self.hosts.values() if host.is_up and host.is_primary is is_primary]
        return self.chance.choice(able) if able else None

    def _flushed(self, primary: Host) -> dict[str, int]:
        """Return how far each standby that streams from `primary` has its log."""
        return {
            host.name: len(host.log)
            for host in self.hosts.values()
            if host.follows == primary.name
            and host.is_up
            and not host.is_primary
            and host.log == primary.log[: len(host.log)]
        }
