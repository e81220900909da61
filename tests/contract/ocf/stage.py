"""What the tests of resource agents share: a place with agents, a file that names components, adapters that come and go."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from holdfast.components import marking
from holdfast.model.events import Ending
from holdfast.model.ids import ComponentId, Epoch, Incarnation, component_id
from holdfast.model.policy import MemberPolicy, Mode, OcfAgent, Policy, ProcessSpec, SecretFrom, ServicePolicy
from holdfast.model.time import SECOND
from holdfast.ocf.adapter import OcfAgents
from holdfast.ports.components import Result
from tests.contract.components.stage import Ears, Stage

ROOT = Path("/usr/lib/ocf")
ODD = "holdfast:odd"
TIMES = 20 * SECOND


class Hold:
    """One agent's hold on the components."""

    def __init__(self, agents: OcfAgents, stage: "OcfStage") -> None:
        self.agents = agents
        self.ears = Ears()
        self._stage = stage
        agents.watch(self.ears)

    async def start(
        self, component: ComponentId, *, epoch: Epoch = 1, is_primary: bool = False
    ) -> Incarnation:
        result = await self.tried(component, epoch=epoch, is_primary=is_primary)
        assert result.ending is Ending.DONE, result.error
        assert result.incarnation is not None
        return result.incarnation

    async def tried(self, component: ComponentId, *, epoch: Epoch = 1, is_primary: bool = False) -> Result:
        return await self.agents.start(component, self._stage.spec(component), epoch, is_primary=is_primary)

    async def stop(self, component: ComponentId, *, at_once: bool = False) -> Result:
        return await self.agents.stop(component, self._stage.spec(component), at_once=at_once)

    async def promote(self, component: ComponentId, epoch: Epoch) -> Result:
        return await self.agents.promote(component, self._stage.spec(component), epoch)

    async def demote(self, component: ComponentId) -> Result:
        return await self.agents.demote(component, self._stage.spec(component))


class OcfStage:
    """A directory in which agents run, and the services that they are to look after."""

    def __init__(self, directory: Path, *, use_cgroups: bool = True) -> None:
        self.directory = directory / "state"
        self.directory.mkdir(exist_ok=True)
        self.use_cgroups = use_cgroups
        self.root = directory / "ocf-root"
        (self.root / "resource.d" / "holdfast").mkdir(parents=True, exist_ok=True)
        for folder in ("lib", "resource.d/heartbeat"):
            (self.root / folder).symlink_to(ROOT / folder)
        (self.root / "resource.d" / "holdfast" / "odd").symlink_to(Path(__file__).parent / "odd.sh")
        self.policy = Policy("test", {})
        self._folders = directory / "odd"

    def add(self, service: str, mode: Mode, agents: dict[str, OcfAgent]) -> tuple[ComponentId, ...]:
        """Name a service in the file; return the ids of its members."""
        members = tuple(
            MemberPolicy(name, ProcessSpec(command=(), managed=agent)) for name, agent in agents.items()
        )
        services = {**self.policy.services, service: ServicePolicy(service, mode, members)}
        self.policy = Policy("test", services)
        return tuple(component_id(service, name) for name in agents)

    def spec(self, component: ComponentId) -> ProcessSpec:
        service, _, name = component.partition("/")
        member = self.policy.services[service].member(name)
        assert member is not None
        return member.run

    def odd(self, name: str, **parameters: str | SecretFrom) -> OcfAgent:
        """Return the agent of the tests, told to work in a folder called `name`."""
        self.folder(name).mkdir(parents=True, exist_ok=True)
        told: dict[str, str | SecretFrom] = {"folder": str(self.folder(name)), **parameters}
        return agent(ODD, **told)

    def folder(self, name: str) -> Path:
        return self._folders / name

    def behave(self, name: str, action: str, script: str | None) -> None:
        """Have the agent run `script` in place of an action; None: as the standard says."""
        path = self.folder(name) / f"{action}.sh"
        if script is None:
            path.unlink()
        else:
            path.write_text(script, "utf-8")

    def calls(self, name: str) -> list[str]:
        """Return the actions that the agent was asked for."""
        path = self.folder(name) / "calls"
        return [line.split()[0] for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def lines(self, name: str) -> list[str]:
        return (self.folder(name) / "calls").read_text("utf-8").splitlines()

    def marked(self) -> list[int]:
        return sorted(found.identity.pid for found in marking.find(marking.read_instance(self.directory)))

    def output(self, component: ComponentId) -> str:
        return (self.directory / "components" / component / "output.log").read_text("utf-8")

    @contextlib.asynccontextmanager
    async def agent(self) -> AsyncIterator[Hold]:
        agents = OcfAgents(self.directory, lambda: self.policy, use_cgroups=self.use_cgroups)
        try:
            yield Hold(agents, self)
        finally:
            await agents.close()


@contextlib.contextmanager
def ocf_staged(directory: Path, *, use_cgroups: bool = True) -> Iterator[OcfStage]:
    """Lend a stage; afterwards end whatever a test left."""
    before = os.environ.get("OCF_ROOT")
    stage = OcfStage(directory, use_cgroups=use_cgroups)
    os.environ["OCF_ROOT"] = str(stage.root)
    try:
        yield stage
    finally:
        Stage(stage.directory, use_cgroups=use_cgroups).clear()
        if before is None:
            del os.environ["OCF_ROOT"]
        else:
            os.environ["OCF_ROOT"] = before


def agent(provider_agent: str, **parameters: str | SecretFrom) -> OcfAgent:
    """Return an agent that is asked once in a minute, so that a test decides when."""
    return OcfAgent(
        provider_agent,
        parameters,
        monitor_every=60 * SECOND,
        monitor_timeout=TIMES,
        start_timeout=TIMES,
        stop_timeout=TIMES,
        promote_timeout=TIMES,
        demote_timeout=TIMES,
        notify_timeout=SECOND,
    )
