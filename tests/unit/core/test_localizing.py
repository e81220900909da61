"""From the file of all hosts to what one host carries out: nothing is lost, nothing runs twice."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.config import Accounts, load_text
from holdfast.loop.localizing import UnknownHostError, localized, which_host
from holdfast.model import blanks
from holdfast.model.policy import HttpCheck, Mode, Policy, ServicePolicy, TcpCheck
from holdfast.model.value import replace

ACCOUNTS = Accounts(frozenset({"root"}), frozenset({"root"}), "root", frozenset({"root"}), is_root=True)
FILE = """
system: shop
cluster: { coordinator: "etcd://10.0.0.1:2379", secret: { file: /etc/key } }
hosts:
  h1: { address: 10.0.0.1 }
  h2: { address: "fd00::2" }
  h3: { address: h3.example.org }
services:
  db:
    mode: active-standby
    members: { db-1: { on: h1 }, db-2: { on: h2 }, db-3: { on: h3, host: db.example.org } }
    port: 5432
    run: [postgres, "{host}:{port}", "{on}", "{address}"]
  web:
    mode: active-active
    members: { web-1: , web-2: { host: vip.example.org }, web-3: { on: h1 } }
    port: 8081+
    run: { command: [web, "{host}", "{{host}} on {on} at {address}"], directory: "/srv/{on}", env: { AT: "{host}" } }
    probes:
      page: { http: "/?from={host}", headers: { Host: "{on}.example.org" }, expect_body: "I am {on}" }
      url: { http: "https://{on}.example.org:{port}/{address}" }
      port: { tcp: "{port}" }
      both: { tcp: "{host}:{port}" }
      plugin: { exec: "check {address}" }
  job: { run: job, members: 1 }
"""
POLICY = load_text(FILE, folder="/srv", accounts=ACCOUNTS)
HOSTS = tuple(POLICY.hosts)
MOVABLE = {
    name: [member.name for member in service.members if member.on is None]
    for name, service in POLICY.services.items()
}

# Where the leader placed members: some nowhere, some on a host that the file does not name, and some that are gone.
places = st.fixed_dictionaries(
    {
        name: st.dictionaries(st.sampled_from([*members, "gone"]), st.sampled_from([*HOSTS, "h9"]))
        for name, members in MOVABLE.items()
        if members
    }
)


def names(service: ServicePolicy) -> list[str]:
    return [member.name for member in service.members]


@given(places)
def test_over_all_hosts_each_member_with_a_host_runs_once_and_every_other_host_knows_it(
    placed: dict[str, dict[str, str]],
) -> None:
    parts = {me: localized(POLICY, me, placed) for me in HOSTS}
    for name, service in POLICY.services.items():
        for member in service.members:
            at = member.on or placed.get(name, {}).get(member.name)
            runs = [me for me, part in parts.items() if part.services[name].member(member.name)]
            hears = [
                me
                for me, part in parts.items()
                if any(m.name == member.name for m in part.services[name].elsewhere)
            ]
            assert runs == ([at] if at in HOSTS else [])
            assert hears == ([me for me in HOSTS if me != at] if at in HOSTS else [])


@given(places, st.sampled_from(HOSTS))
def test_what_follows_from_the_members_follows_them(placed: dict[str, dict[str, str]], me: str) -> None:
    part = localized(POLICY, me, placed)
    assert list(part.services) == list(POLICY.services)
    assert part.size == sum(len(service.members) for service in part.services.values())
    for name, service in part.services.items():
        order = names(POLICY.services[name])
        assert service.components == tuple(f"{name}/{member}" for member in names(service))
        assert [m for m in order if m in names(service)] == names(service)
        elsewhere = [member.name for member in service.elsewhere]
        assert [m for m in order if m in elsewhere] == elsewhere
        assert service.is_leased == (service.mode is not Mode.ACTIVE_ACTIVE)


@given(places, st.sampled_from(HOSTS))
def test_no_blank_is_left_in_a_member_that_has_a_host(placed: dict[str, dict[str, str]], me: str) -> None:
    part = localized(POLICY, me, placed)
    assert "\\u0000" not in msgspec.json.encode(part).decode()
    for service in part.services.values():
        assert all(member.host for member in service.everywhere)


@given(places, st.sampled_from(HOSTS))
def test_all_but_the_members_and_the_leases_stays_as_it_was(
    placed: dict[str, dict[str, str]], me: str
) -> None:
    part = localized(POLICY, me, placed)
    assert replace(part, services=POLICY.services) == POLICY
    for name, service in part.services.items():
        was = POLICY.services[name]
        assert replace(service, members=was.members, elsewhere=(), is_leased=False) == was


def test_a_member_that_is_bound_knows_its_host_from_the_start() -> None:
    one, two, three = POLICY.services["db"].members
    assert [m.host for m in (one, two, three)] == ["10.0.0.1", "fd00::2", "db.example.org"]
    assert one.run.command == ("postgres", "10.0.0.1:5432", "h1", "10.0.0.1")
    assert three.run.command == ("postgres", "db.example.org:5432", "h3", "h3.example.org")


def test_a_member_that_is_placed_has_its_templates_filled_in_wherever_they_stand() -> None:
    before = POLICY.services["web"].members[0]
    assert (before.host, before.run.command[1]) == ("", blanks.HOST)
    member = localized(POLICY, "h2", {"web": {"web-1": "h2"}}).services["web"].members[0]
    assert member.host == "fd00::2"
    assert member.run.command == ("web", "fd00::2", "{host} on h2 at fd00::2")
    assert (member.run.directory, member.run.env) == ("/srv/h2", {"AT": "fd00::2"})
    page, url, port, both, plugin = (probe.check for probe in member.probes)
    assert page == HttpCheck(
        "fd00::2",
        8081,
        "/?from=fd00::2",
        headers={"Host": "h2.example.org"},
        expect_body="I am h2",
    )
    assert url == HttpCheck("h2.example.org", 8081, "/fd00::2", tls=True)
    assert port == both == TcpCheck("fd00::2", 8081)
    assert plugin == msgspec.structs.replace(plugin, command=("check", "fd00::2"))


def test_a_host_that_the_file_names_for_a_movable_member_stays_its_own() -> None:
    member = localized(POLICY, "h1", {"web": {"web-2": "h1"}}).services["web"].members[0]
    assert (member.host, member.run.command[1]) == ("vip.example.org", "vip.example.org")
    assert member.run.command[2] == "{host} on h1 at 10.0.0.1"


def test_members_elsewhere_can_be_reached_where_they_run() -> None:
    web = localized(POLICY, "h1", {"web": {"web-1": "h3", "web-2": "h2"}}).services["web"]
    assert names(web) == ["web-3"]
    assert [(m.name, m.host) for m in web.elsewhere] == [
        ("web-1", "h3.example.org"),
        ("web-2", "vip.example.org"),
    ]


def test_a_file_for_one_host_is_returned_as_it_is() -> None:
    policy = load_text("system: shop\nservices: { web: { run: srv } }\n", accounts=ACCOUNTS)
    assert localized(policy, "h1", {}) is policy


def test_holdfasts_own_services_run_on_every_host() -> None:
    own = ServicePolicy("haproxy", Mode.SINGLETON, POLICY.services["job"].members, is_builtin=True)
    policy: Policy = replace(POLICY, services={**POLICY.services, "haproxy": own})
    assert all(localized(policy, me, {}).services["haproxy"] == own for me in HOSTS)


# --- which host this machine is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "addresses", "hostname", "wanted"),
    [
        ("h2", ["10.0.0.1"], "h3", "h2"),
        (None, ["127.0.0.1", "10.0.0.1"], "h3", "h1"),
        (None, ["127.0.0.1", "FD00:0::0002"], "web", "h2"),
        (None, ["127.0.0.1"], "h3.example.org", "h3"),
        (None, [], "h2", "h2"),
        (None, [], "H2.lan", "h2"),
    ],
)
def test_a_name_goes_before_an_address_and_an_address_before_a_hostname(
    name: str | None, addresses: list[str], hostname: str, wanted: str
) -> None:
    assert which_host(POLICY, name, addresses, hostname) == wanted


@pytest.mark.parametrize(
    ("name", "addresses", "wanted"),
    [
        (
            "h9",
            ["10.0.0.1"],
            "there is no host 'h9' in the file; it has h1 (10.0.0.1), h2 (fd00::2), h3 (h3.example.org)",
        ),
        (
            None,
            ["10.0.0.9", "127.0.0.1"],
            (
                "this machine is called 'web9' and has the addresses 10.0.0.9, 127.0.0.1: no host of the file fits, it has "
                "h1 (10.0.0.1), h2 (fd00::2), h3 (h3.example.org); say with --host which it is, or correct hosts"
            ),
        ),
        (
            None,
            [],
            (
                "this machine is called 'web9' and has no address of the file's hosts: no host of the file fits, it has "
                "h1 (10.0.0.1), h2 (fd00::2), h3 (h3.example.org); say with --host which it is, or correct hosts"
            ),
        ),
        (
            None,
            ["10.0.0.1", "fd00::2"],
            (
                "this machine is called 'web9' and has the addresses 10.0.0.1, fd00::2: h1 and h2 of the file fit; "
                "say with --host which it is"
            ),
        ),
    ],
)
def test_a_machine_that_is_no_host_or_several_is_told_what_was_seen(
    name: str | None, addresses: list[str], wanted: str
) -> None:
    with pytest.raises(UnknownHostError) as caught:
        which_host(POLICY, name, addresses, "web9")
    assert str(caught.value) == wanted
