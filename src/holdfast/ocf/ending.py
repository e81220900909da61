"""Ending a component through its agent, and believing it only when the agent's monitor says so.

An agent that says "stopped" may have left something: nginx without its first process leaves workers that hold the port. So what
carries the mark is killed afterwards, and before, where it must not serve a moment longer. An agent that fails or hangs is
asked a second time once its processes are gone: then most find nothing to do but to tidy up.
"""

from holdfast.ocf.outcomes import CANNOT_SAY
from holdfast.ocf.peers import Peers
from holdfast.ocf.resource import Resource
from holdfast.ocf.running import Running


async def end(resource: Resource, running: Running, peers: Peers, *, at_once: bool = False) -> str:
    """End it; return what is left of it, for people; empty: nothing. The caller holds its turn."""
    component = resource.component
    if not resource.record.is_begun:
        outcome = await resource.monitor(is_first=True)
        if outcome.is_absent or outcome.is_unbegun or outcome.code in CANNOT_SAY:
            return _tell(len(await running.end_rest(component)))
    if at_once:
        await running.end_rest(component)
    await _prepare(resource, peers, is_told=not at_once)
    left = await _stop(resource)
    survivors = await running.end_rest(component)
    if left:
        left = await _stop(resource)
    if left or survivors:
        return left or _tell(len(survivors))
    await resource.note_stopped()
    if (cgroup := running.cgroup(component)) is not None:
        cgroup.remove()
    if not at_once:
        await peers.notify(resource, "post", "stop")
    return ""


async def _prepare(resource: Resource, peers: Peers, *, is_told: bool) -> None:
    """Bring it to where it may be stopped: agents expect to be asked only as a standby."""
    if resource.agent.is_promotable and resource.is_primary:
        if is_told:
            await peers.notify(resource, "pre", "demote")
        await resource.act("demote", resource.agent.demote_timeout)
        if is_told:
            await peers.notify(resource, "post", "demote")
    if is_told:
        await peers.notify(resource, "pre", "stop")


async def _stop(resource: Resource) -> str:
    """Ask the agent to stop it, and how it is then; return what speaks against its being stopped."""
    outcome = await resource.act("stop", resource.agent.stop_timeout)
    seen = await resource.monitor()
    if seen.is_absent or (outcome.code == 0 and seen.code in CANNOT_SAY):
        return ""
    return str(seen) if outcome.code == 0 else f"{outcome}; {seen}"


def _tell(survivors: int) -> str:
    return f"{survivors} of its processes survive SIGKILL, probably waiting for a disk" if survivors else ""
