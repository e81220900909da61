import pytest

from holdfast.agent.remote_client import Target
from holdfast.cli.exits import Trouble
from holdfast.cli.place import Place
from holdfast.cli.reaching import target_of
from holdfast.model.policy import ClusterPolicy, HostPolicy, Policy, SecretFrom, TlsPolicy
from tests.unit.cli.calling import Call

OWN = TlsPolicy("/etc/ca.pem", "/etc/h1.pem", "/etc/h1.key")
MINE = {"HOLDFAST_TLS_CA": "ca.pem", "HOLDFAST_TLS_CERT": "ann.pem", "HOLDFAST_TLS_KEY": "ann.key"}


def policy(tls: TlsPolicy | None = OWN) -> Policy:
    cluster = ClusterPolicy("etcd://10.0.0.1:2379", SecretFrom(env="SECRET"), port=7000, tls=tls)
    return Policy("orders", {}, cluster=cluster, hosts={"h2": HostPolicy("h2", "10.0.0.2")})


def asked(host: str, **tls: str) -> Place:
    place = Place()
    place.host = host
    place.tls = tls
    return place


def test_host_of_the_file_is_asked_at_its_address_with_this_hosts_certificate_in_the_users_name() -> None:
    found = target_of(asked("h2"), policy(), {}, user="ann")
    assert found == Target("h2", "10.0.0.2", 7000, OWN, None, "ann")


@pytest.mark.parametrize(
    ("spec", "address", "port"),
    [
        ("10.0.0.9", "10.0.0.9", 7000),
        ("10.0.0.9:7421", "10.0.0.9", 7421),
        ("h2:7421", "10.0.0.2", 7421),
        ("h7.example", "h7.example", 7000),
        ("[fd00::2]", "fd00::2", 7000),
        ("[fd00::2]:7421", "fd00::2", 7421),
    ],
)
def test_address_and_port_may_be_said(spec: str, address: str, port: int) -> None:
    found = target_of(asked(spec), policy(), {}, user="ann")
    assert (found.address, found.port) == (address, port)


def test_without_a_file_the_port_is_the_usual_one() -> None:
    usual = ClusterPolicy("etcd://h", SecretFrom(env="S")).port
    assert target_of(asked("10.0.0.9"), None, MINE, user="ann").port == usual


def test_ones_own_certificate_goes_before_the_hosts_and_speaks_for_nobody_else() -> None:
    found = target_of(asked("h2"), policy(), {**MINE, "HOLDFAST_TOKEN_FILE": "t"}, user="ann")
    assert found.tls == TlsPolicy("ca.pem", "ann.pem", "ann.key")
    assert (found.behalf, found.token_file) == (None, "t")
    said = target_of(asked("h2", cert="bob.pem", key="bob.key"), policy(), MINE, user="ann")
    assert said.tls == TlsPolicy("ca.pem", "bob.pem", "bob.key")


def test_users_name_is_told_as_far_as_it_is_a_name() -> None:
    assert target_of(asked("h2"), policy(), {}, user="DOM\\ann b").behalf == "DOM-ann-b"
    assert target_of(asked("h2"), policy(), {}, user="--").behalf == "unknown"


@pytest.mark.parametrize("spec", ["", "h2:0", "h2:99999", "a:b:c", "h 2", "[::1", "h2:"])
def test_nonsense_is_no_host(spec: str) -> None:
    with pytest.raises(Trouble, match="is no host") as trouble:
        target_of(asked(spec), policy(), {}, user="ann")
    assert trouble.value.exit_code == 2


def test_without_certificates_it_is_told_where_they_come_from() -> None:
    with pytest.raises(Trouble, match=r"there are none \(no file\)") as trouble:
        target_of(asked("h2"), None, {}, user="ann", unread="no file")
    assert "HOLDFAST_TLS_CERT" in trouble.value.hint
    with pytest.raises(Trouble, match="there are none"):
        target_of(asked("h2"), policy(None), {}, user="ann")


def test_certificate_without_its_key_is_a_slip() -> None:
    with pytest.raises(Trouble, match="go together"):
        target_of(asked("h2", cert="ann.pem"), policy(), {}, user="ann")


@pytest.mark.parametrize(
    "args", [("run",), ("validate",), ("lock", "x", "--", "true"), ("audit",), ("secret",)]
)
def test_verbs_that_ask_no_agent_refuse_a_host(call: Call, args: tuple[str, ...]) -> None:
    result = call("--host", "h2", *args)
    assert result.exit_code == 2
    assert "is for verbs that ask an agent" in result.output


def test_host_may_stand_before_or_after_the_verb_and_nothing_is_told_from_this_hosts_journal(
    call: Call,
) -> None:
    for args in (
        ("--host", "h2", "incidents"),
        ("incidents", "--host", "h2"),
        ("explain", "web", "--host", "h2"),
    ):
        result = call(*args)
        assert result.exit_code == 2, result.output
        assert "--host needs certificates" in result.output
