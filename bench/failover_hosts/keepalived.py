"""keepalived: VRRP moves the address between two hosts that both run the service.

As its manual shows it: VRRP version 3, priorities 150 and 100, and a script once a second (its shortest interval) that
takes a host out whose service does not answer.
"""

import subprocess
from pathlib import Path

from bench.failover_hosts.contenders import Contender

PRIORITIES = {"h1": 150, "h2": 100}


class Keepalived(Contender):
    """One pair of hosts."""

    packages = ("keepalived",)
    program = "keepalived"

    def __init__(self, folder: Path, advert_s: float) -> None:
        super().__init__(folder)
        self._advert_s = advert_s
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start the service and keepalived on both, and wait for the one with the higher priority."""
        for name, host in self.network.hosts.items():
            host.start(self.witness(name), self.folder / f"service-{name}.log")
        for name, host in self.network.hosts.items():
            file = self.folder / f"{name}.conf"
            file.write_text(self._configuration(name))
            pids = ("-p", str(self.folder / f"{name}.pid"), "-r", str(self.folder / f"{name}.vrrp.pid"))
            command = ["/usr/sbin/keepalived", "-n", "-P", "-l", "-D", "-f", str(file), *pids]
            self._running[name] = host.start(command, self.folder / f"keepalived-{name}.log")
        self.until(lambda: self.owners() == {"h1"}, "h1 has the address", within_s=30)

    def move(self, host: str) -> None:
        """Stop keepalived there: it says good-bye with priority 0."""
        self._running[host].terminate()

    def _configuration(self, host: str) -> str:
        return f"""
global_defs {{
    router_id {host}
    enable_script_security
    script_user root
    vrrp_version 3
}}
vrrp_script answers {{
    script "{self.check()}"
    interval 1
    timeout 1
    fall 1
    rise 1
}}
vrrp_instance service {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {PRIORITIES[host]}
    advert_int {self._advert_s}
    virtual_ipaddress {{
        {self.address}/24
    }}
    track_script {{
        answers
    }}
}}
"""
