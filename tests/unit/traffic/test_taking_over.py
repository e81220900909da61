"""What is checked before a new configuration is put in force."""

import socket

from holdfast.traffic.taking_over import kept_states, taken_addresses
from tests.unit.traffic.policies import policy

HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_fqdn srv_port\n"


def test_only_states_of_servers_that_keep_their_address_survive_a_reload() -> None:
    same = "5 cache 1 cache-1 127.0.0.1 0 1 - 6401\n"
    moved = "5 cache 2 cache-2 127.0.0.1 0 1 - 9999\n"
    gone = "7 old 1 old-1 127.0.0.1 2 0 - 1\n"
    assert kept_states(HEAD + same + moved + gone, policy()) == HEAD + same


def test_a_new_address_that_somebody_else_listens_on_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        line = f"    bind 127.0.0.1:{other.getsockname()[1]}\n"
        assert taken_addresses("", line) == [line.split()[1]]
        assert taken_addresses(line, line) == []  # it is HAProxy itself that listens there
    assert taken_addresses("", line) == []
