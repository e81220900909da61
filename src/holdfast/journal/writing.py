"""The writer's thread: it gathers what the loop appended, and commits it a few milliseconds later.

The loop pays for an append to a deque. Committing each turn by itself would cost a hundred times as much per
turn, so turns are gathered for GATHER or until ROWS_MAX have come. While the disk refuses, the rows
wait (bounded) and a new attempt is made every RETRY_EVERY, so recovery needs nobody.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from holdfast.journal.database import Database
from holdfast.journal.pending import Pending
from holdfast.journal.records import Wall
from holdfast.journal.refusing import JournalRefusedError
from holdfast.journal.scribe import Moment, Scribe

GATHER = 0.02  # seconds
ROWS_MAX = 500
RETRY_EVERY = 1.0  # seconds
PRUNE_EVERY = 10.0  # seconds
QUEUE_MAX = 10_000  # turns that the thread may lag behind, the disk hanging: they hold whole states
ANSWER_WITHIN = 10.0  # seconds; a disk that takes longer than this hangs


class Writer:
    """A thread with a bounded queue. `put` is for one thread, the rest for any."""

    def __init__(
        self, database: Database, scribe: Scribe, pending: Pending, wall: Callable[[], Wall]
    ) -> None:
        self._database = database
        self._scribe = scribe
        self._pending = pending
        self._wall = wall
        self._queue: deque[Moment] = deque(maxlen=QUEUE_MAX)
        self._something = threading.Event()  # there may be something to do
        self._hurry = threading.Event()  # do it without gathering more
        self._answer = threading.Condition()
        self._asked = 0  # flushes wanted; each looks for its own number in `_answered`
        self._answered = 0
        self._is_closing = False
        self._has_ended = False
        self._prune_at = 0.0
        self._hang: str | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str | None:
        """Why turns do not reach the disk at present; None: they do."""
        if self._has_ended and not self._is_closing:
            return "the journal's thread has ended by a fault of ours: nothing is remembered any more"
        return self._hang or self._database.problem

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should know though it is over, oldest first."""
        return (*self._database.warnings, *self._scribe.faults)

    @property
    def dropped(self) -> int:
        """How many turns were lost since the start because they could not be written in time."""
        return self._pending.dropped

    def put(self, moment: Moment) -> None:
        """Queue one turn. If the queue is full its oldest turn gives way; the scribe sees the hole."""
        assert not self._is_closing
        queue = self._queue
        queue.append(moment)
        if not self._something.is_set():
            self._something.set()
        if len(queue) >= ROWS_MAX and not self._hurry.is_set():
            self._hurry.set()

    def flush(self) -> None:
        """Wait until an attempt was made to write everything queued so far; `problem` tells how it went."""
        with self._answer:
            self._asked += 1
            ticket = self._asked
            self._wake()
            answered = self._answer.wait_for(
                lambda: self._answered >= ticket or self._has_ended, timeout=ANSWER_WITHIN
            )
        self._hang = None if answered else f"the disk has not answered for {ANSWER_WITHIN:.0f} s"

    def replace_damaged(self, why: str) -> None:
        """Have the file replaced with the next turn: until then, the damaged one is all we have."""
        self._database.damage = why

    def close(self) -> None:
        """Write what is queued and a last snapshot, and end."""
        self._is_closing = True
        self._wake()
        self._thread.join(timeout=ANSWER_WITHIN)
        if self._thread.is_alive():
            self._hang = f"the disk has not answered for {ANSWER_WITHIN:.0f} s"

    def _wake(self) -> None:
        self._hurry.set()
        self._something.set()

    def _run(self) -> None:
        try:
            while True:
                if not self._pending:
                    self._something.wait()
                self._hurry.wait(RETRY_EVERY if self._database.problem else GATHER)
                # Cleared before the queue is read: what comes later sets them again.
                self._something.clear()
                self._hurry.clear()
                asked, is_closing = self._asked, self._is_closing
                self._work_off(is_closing=is_closing)
                with self._answer:
                    self._answered = asked
                    self._answer.notify_all()
                if is_closing:
                    return
        finally:
            self._database.close()
            with self._answer:
                self._has_ended = True
                self._answer.notify_all()

    def _work_off(self, *, is_closing: bool) -> None:
        waiting = len(self._queue)  # what comes meanwhile is for the next round, or a flush might never end
        while waiting > 0:
            count = min(waiting, ROWS_MAX)
            self._take(count)
            self._commit()
            waiting -= count
        if is_closing:
            self._scribe.note_snapshot(self._pending)
        if self._pending:  # the closing snapshot, or what the disk refused earlier
            self._commit()
        self._prune()

    def _take(self, count: int) -> None:
        for _ in range(count):
            try:
                moment = self._queue.popleft()
            except IndexError:  # never with a bounded deque, which stays full; but nothing hangs on it
                return
            self._scribe.note(moment, self._pending)

    def _commit(self) -> None:
        database, pending = self._database, self._pending
        for _ in range(2):  # again at once if the file was damaged and a new one can take its place
            try:
                pending.is_torn |= not database.open(self._wall())
            except JournalRefusedError as error:
                database.problem = str(error)
                return
            if pending.is_torn and self._scribe.restate(pending):
                pending.is_torn = False
            if database.write(pending):
                pending.clear()
                return
            if database.problem is not None:
                return
        database.problem = "a new file was damaged at once: look at the disk"

    def _prune(self) -> None:
        now = time.monotonic()
        if now < self._prune_at or self._database.problem:
            return
        is_more = self._database.prune(self._wall())
        self._prune_at = now if is_more else now + PRUNE_EVERY
