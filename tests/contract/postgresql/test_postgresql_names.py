"""A server that is named, not numbered, is found; and a resolver that hangs keeps nothing else waiting."""

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.postgresql import running
from holdfast.postgresql.asking import ask_history, remote
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import GENEROUS, Stage, play, settings, standing
from tests.lab.network import is_permitted

# Asks a server by a name that a silent resolver is to find, and prints for how long nothing else went on, in seconds.
_ASK = """
import asyncio, socket, time
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Unanswered

async def story():
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.9", 53))
    longest = 0.0

    async def live():
        nonlocal longest
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()

    living = asyncio.create_task(live())
    await asyncio.sleep(0.1)
    try:
        await ask("host='pg.other-site.example' user=x dbname=x", "select 1", within=300_000_000)
    except Unanswered as unanswered:
        assert unanswered.fault == "silent", unanswered
    await asyncio.sleep(0.1)
    print(longest)

asyncio.run(story())
"""


@pytest.mark.skipif(not is_permitted(), reason="namespaces need root")
def test_nothing_waits_for_a_resolver_that_hangs(tmp_path: Path) -> None:
    names = tmp_path / "resolv.conf"
    names.write_text("nameserver 127.0.0.9\noptions timeout:20 attempts:1\n")
    inside = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && exec "$2" -c "$3"'
    command = ("unshare", "-mn", "sh", "-c", inside, "sh", str(names), sys.executable, _ASK)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10, "seconds; the resolver was waited for"


def test_a_server_is_found_by_its_name_and_why_one_is_not_is_told() -> None:
    async def story(stage: Stage) -> None:
        server = stage.bootstrapped("a")
        await running.start(server, settings(), spawn, GENEROUS)
        named = remote("localhost", server.port, server.replicator, server.passwords, is_walsender=True)
        system, position, _ = await ask_history(named, GENEROUS)
        assert system == await stage.system(server)
        assert position.timeline == (await standing(server)).position.timeline
        with pytest.raises(Unanswered) as refused:
            await ask(named.replace("localhost", "no..name"), "IDENTIFY_SYSTEM", within=GENEROUS)
        assert refused.value.fault is Fault.REFUSED
        stranger = remote("localhost", server.port, "stranger", server.passwords)
        with pytest.raises(Unanswered) as refused:
            await ask(stranger, "select 1", within=GENEROUS)
        assert refused.value.fault is Fault.DENIED

    play(story)
