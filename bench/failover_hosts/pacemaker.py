"""Pacemaker + Corosync: three hosts, defaults, one group of an address and the service.

Corosync's defaults are kept (token 3 s + 0.65 s for the third host). Fencing is off, since there is nothing to fence with;
that only makes it faster. The interval of the monitor has no default worth the name: 10 s is what the agents' metadata
suggest, 1 s is what the impatient set.
"""

import subprocess
from contextlib import suppress
from pathlib import Path

from bench.failover_hosts.contenders import Contender
from tests.lab.network import LabError, run

HOST = Path(__file__).with_name("pacemaker_host.sh")
OWN_NAMESPACES = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")


class Pacemaker(Contender):
    """One cluster of three."""

    packages = ("pacemaker", "corosync", "pacemaker-cli-utils", "resource-agents")
    program = "pacemakerd"
    hosts = 3

    def __init__(self, folder: Path, monitor_s: int) -> None:
        super().__init__(folder)
        self._monitor_s = monitor_s
        self._outside: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Form the cluster, then create the group; wait until it serves."""
        self.folder.chmod(0o777)  # Pacemaker's daemons log as a user of their own
        (self.folder / "corosync.conf").write_text(self._corosync())
        for name, host in self.network.hosts.items():
            command = [*OWN_NAMESPACES, str(HOST), name, str(self.folder)]
            self._outside[name] = host.start(command, self.folder / f"{name}.log")
        online = f"Online: [ {' '.join(self.network.hosts)} ]"
        self.until(lambda: online in self._ask("h1", "crm_mon", "-1"), "the cluster forms", within_s=120)
        for kind, name, value in (
            ("crm_config", "stonith-enabled", "false"),
            ("rsc_defaults", "resource-stickiness", "100"),
        ):
            self._tell("h1", "crm_attribute", "-t", kind, "-n", name, "-v", value)
        self._tell("h1", "cibadmin", "-C", "-o", "resources", "--xml-text", self._group())
        self.until(self._is_serving, "the group runs", within_s=60)

    def move(self, host: str) -> None:
        """Put the host on standby."""
        self._tell(host, "crm_standby", "-v", "on", "-N", host)

    def _is_serving(self) -> bool:
        running = self._ask("h1", "crm_mon", "-1")
        return len(self.owners()) == 1 and running.count("Started") == 2 and "Failed" not in running

    def _tell(self, host: str, *command: str) -> str:
        # Process 1 of the host's own namespaces is the only child of `unshare`.
        outside = self._outside[host].pid
        pid = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()[0]
        return run(["nsenter", "-t", pid, "-n", "-m", "-u", "-i", "-p", *command])

    def _ask(self, host: str, *command: str) -> str:
        with suppress(LabError, OSError, IndexError):  # it is not up yet
            return self._tell(host, *command)
        return ""

    def _corosync(self) -> str:
        hosts = "\n".join(
            f" node {{\n  ring0_addr: {host.address}\n  name: {name}\n  nodeid: {number}\n }}"
            for number, (name, host) in enumerate(self.network.hosts.items(), 1)
        )
        return (
            "totem {\n version: 2\n cluster_name: bench\n transport: knet\n crypto_cipher: none\n crypto_hash: none\n}\n"
            "quorum {\n provider: corosync_votequorum\n}\n"
            "logging {\n to_logfile: no\n to_syslog: no\n to_stderr: yes\n timestamp: hires\n}\n"
            f"nodelist {{\n{hosts}\n}}\n"
        )

    def _group(self) -> str:
        service = self.folder / "service"
        options = " ".join(self.witness("$(hostname)"))
        service.write_text(f"#!/bin/sh\nexec {options}\n")
        service.chmod(0o755)
        address = {"ip": self.address, "cidr_netmask": "24", "nic": "eth0"}
        program = {
            "binfile": str(service),
            "pidfile": "/run/service.pid",
            "monitor_hook": self.check(tries=10),
        }
        return (
            '<group id="service">'
            + self._primitive("address", "IPaddr2", address)
            + self._primitive("program", "anything", program)
            + "</group>"
        )

    def _primitive(self, name: str, agent: str, options: dict[str, str]) -> str:
        pairs = "".join(
            f'<nvpair id="{name}-{key}" name="{key}" value="{value}"/>' for key, value in options.items()
        )
        return (
            f'<primitive id="{name}" class="ocf" provider="heartbeat" type="{agent}">'
            f'<instance_attributes id="{name}-options">{pairs}</instance_attributes><operations>'
            f'<op id="{name}-monitor" name="monitor" interval="{self._monitor_s}s" timeout="20s"/>'
            "</operations></primitive>"
        )
