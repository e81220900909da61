"""Finding the main process of every component, whatever the last agent was doing when it died.

The record says which it is. Only where there is none (the agent died within a start) are marks and control
groups asked; of several processes the main one is the eldest that leads a session, as all do that we start.
"""

import os
import time
from pathlib import Path

from holdfast.components import marking, procfs
from holdfast.components.cgroups import Cgroups
from holdfast.components.marking import Found, Mark
from holdfast.components.procfs import Identity
from holdfast.components.records import Folder, Record, recorded
from holdfast.model.ids import ComponentId

_LOOKS = 10
_LOOK_AGAIN = 0.02  # seconds


def find_mains(directory: Path, boot: str, instance: str, cgroups: Cgroups) -> dict[ComponentId, Record]:
    """Return what the record of each running component says, or would say. Blocks for some milliseconds."""
    records = {
        component: record
        for component in recorded(directory)
        if (record := Folder(directory, component).read(boot)) is not None
    }
    mains = {component: record for component, record in records.items() if record.identity.is_running}
    unrecorded = _find_unrecorded(records, instance, cgroups)
    # In a group and not marked: a child of the last agent that is about to become the program, or a program
    # that wrote its title over the environment that /proc shows. The former gets a moment.
    for _ in range(_LOOKS):
        if all(any(found.mark.run_digest for found in processes) for processes in unrecorded.values()):
            break
        time.sleep(_LOOK_AGAIN)
        unrecorded = _find_unrecorded(records, instance, cgroups)
    for component, processes in unrecorded.items():
        if (main := _choose(processes)) is not None:
            mains[component] = _as_record(main, boot, cgroups)
    return mains


def _find_unrecorded(
    records: dict[ComponentId, Record], instance: str, cgroups: Cgroups
) -> dict[ComponentId, list[Found]]:
    by_component: dict[ComponentId, dict[Identity, Found]] = {}
    for found in (
        *_in_groups(cgroups),
        *marking.find(instance),
    ):  # a mark says more than a group: it comes last
        component = found.mark.component
        # With a record, what else runs is left over from the process that it names.
        if component not in records and _is_name(component):
            by_component.setdefault(component, {})[found.identity] = found
    return {component: list(processes.values()) for component, processes in by_component.items()}


def _in_groups(cgroups: Cgroups) -> list[Found]:
    # Some programs write their title over the environment that /proc shows.
    stats = (
        (component, procfs.read_stat(pid))
        for component, cgroup in cgroups.occupied()
        for pid in cgroup.pids()
        if pid != os.getpid()
    )
    return [
        Found(
            stat.identity, stat.session == stat.pid, Mark(component, epoch=0, is_primary=False, run_digest="")
        )
        for component, stat in stats
        if stat is not None and not stat.is_gone
    ]


def _choose(processes: list[Found]) -> Found | None:
    mains = [found for found in processes if not found.mark.hook]
    return min(
        mains, key=lambda found: (not found.is_leader, found.identity.ticks, found.identity.pid), default=None
    )


def _as_record(found: Found, boot: str, cgroups: Cgroups) -> Record:
    cgroup = cgroups.of(found.mark.component)
    return Record(
        pid=found.identity.pid,
        ticks=found.identity.ticks,
        boot=boot,
        run_digest=found.mark.run_digest,
        epoch=found.mark.epoch,
        is_primary=found.mark.is_primary,
        cgroup="" if cgroup is None else str(cgroup.path),
    )


def _is_name(component: str) -> bool:
    parts = component.split("/")
    return len(parts) == 2 and all(part and not part.startswith(".") for part in parts)
