"""Running the demonstration: start, load, kill the active member, freeze the next one, tell what happened."""

import asyncio
import signal
import subprocess
import sys
import time

from holdfast.demo.load import Load, Toll, toll
from holdfast.demo.ports import free_ports
from holdfast.demo.stage import Stage, StageError, send_signal
from holdfast.journal.records import IncidentRecord
from holdfast.model.time import show_duration

RATE = 200
STEADY_S = 1.5  # load before each fault

FILE = """\
# The file of the demonstration. `holdfast init` writes one like it for you.
system: demo
services:
  web:
    mode: active-standby            # both run, one serves; the other takes over
    members:
      web-1: {{ port: {web1} }}
      web-2: {{ port: {web2} }}
    run: [{python}, -m, holdfast.demo.web, --port, "{{port}}", --name, "{{member}}", --takes-ms, "20"]
    probes:
      alive: {{ http: "http://127.0.0.1:{{port}}/", every: 500ms, timeout: 300ms, fall: 2 }}
    traffic: {{ listen: "127.0.0.1:{front}" }}
  worker:
    mode: singleton                 # never two
    depends_on: [web]
    members:
      worker-1: {{ port: {worker} }}
    run: [{python}, -m, holdfast.demo.web, --port, "{{port}}", --name, worker, --asks, "{front}"]
    probes:
      alive: {{ tcp: "127.0.0.1:{{port}}" }}
"""


async def demonstrate() -> int:
    """Run the demonstration; 0 if every fault was survived as promised."""
    front, web1, web2, worker = free_ports(4)
    text = FILE.format(front=front, web1=web1, web2=web2, worker=worker, python=sys.executable)
    async with Stage(text) as stage:
        say("two web servers and a worker that needs them, behind HAProxy")
        say(f"file {stage.file}, traffic on http://127.0.0.1:{front}/")
        begun = time.monotonic()
        status = await stage.all_up()
        say(
            f"everything is up after {time.monotonic() - begun:.1f}s, S = {status.health:.2f}; {RATE} requests/s from now on"
        )
        load = Load(front, RATE)
        load.start()
        is_good = await _fault(stage, load, "kill -9", signal.SIGKILL)
        is_good &= await _fault(stage, load, "SIGSTOP (a hang)", signal.SIGSTOP)
        await load.stop()
        say("why? `holdfast explain web` says:")
        _explain(stage)
    say("everything is stopped, nothing is left behind" if is_good else "not as promised: see above")
    return 0 if is_good else 1


async def _fault(stage: Stage, load: Load, name: str, which: signal.Signals) -> bool:
    await asyncio.sleep(STEADY_S)
    active = stage.active_member("web")
    moments: list[float] = []
    print()
    say(f"{name} of the active member {active.component}, pid {active.pid}")
    record = await stage.incident_after(lambda: moments.append(send_signal(active, which)))
    await stage.all_up()
    await asyncio.sleep(0.2)
    until = time.monotonic()
    cost = toll(load.requests, moments[0], until=until)
    print_incident(record)
    print(f"  {describe(cost)}")
    return cost.failed <= cost.in_flight


def print_incident(record: IncidentRecord) -> None:
    """Print an incident's timeline, relative to its detection."""
    incident = record.incident
    cause = incident.cause
    print(
        f"  incident {incident.id}, cause {cause.code if cause else 'unknown'}: {cause.text if cause else ''}"
    )
    for entry in incident.timeline:
        after = show_duration(entry.at - incident.fault_at)
        print(f"    +{after:>7}  {entry.stage:<11} {entry.subject:<16} {entry.text}")


def describe(cost: Toll) -> str:
    """Return what a fault cost the clients, in one line."""
    return (
        f"clients: {cost.sent} requests, {cost.failed} failed ({cost.in_flight} were in flight), "
        f"longest gap {cost.longest_gap_ms:.0f} ms, slowest answer {cost.slowest_ms:.0f} ms"
    )


def _explain(stage: Stage) -> None:
    command = [sys.executable, "-m", "holdfast.cli", "--directory", str(stage.directory), "explain", "web"]
    subprocess.run(command, check=False, timeout=30)


def say(text: str) -> None:
    """Print one line of the demonstration."""
    print(f"holdfast demo  {text}", flush=True)


def run_demo() -> int:
    """Run the demonstration to its end."""
    try:
        return asyncio.run(demonstrate())
    except StageError as error:
        print(f"holdfast demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
