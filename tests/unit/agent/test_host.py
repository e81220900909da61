"""A host that cannot hear the others is told so before it starts anything."""

import socket

import pytest

from holdfast.agent.cluster.host import HostError, check_address
from holdfast.config import load_text
from holdfast.model.policy import Policy


def policy(address: str, port: int) -> Policy:
    return load_text(f"""
system: shop
cluster: {{ coordinator: "etcd://127.0.0.9:2379", secret: {{ file: /etc/holdfast/cluster.key }}, port: {port} }}
hosts: {{ h1: {{ address: {address} }}, h2: {{ address: 127.0.0.8 }} }}
services:
  job: {{ mode: singleton, members: {{ job-1: {{ on: h1 }} }}, run: [sleep, inf] }}
""")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_host_at_an_address_of_its_own_may_start() -> None:
    check_address(policy("127.0.0.1", free_port()), "h1")


def test_a_host_whose_address_another_machine_has_is_told_which_and_what_to_do() -> None:
    with pytest.raises(HostError, match=r"as h1 on 192\.0\.2\.1, port \d+: .*is it another host \(--host\)"):
        check_address(policy("192.0.2.1", free_port()), "h1")


def test_a_port_that_another_program_has_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(HostError, match=r"another program has the port, .*cluster\.port"):
            check_address(policy("127.0.0.1", other.getsockname()[1]), "h1")
