"""Several hosts in the file: what it becomes, and what is wrong with it."""

import pytest

from holdfast.config import Plan, WeaknessCode, coordinator, plan
from holdfast.coordination import address
from holdfast.model.policy import (
    ClusterPolicy,
    CoordinatorLoss,
    FencePolicy,
    HostPolicy,
    PlacementPolicy,
    Policy,
    SecretFrom,
    TlsPolicy,
)
from holdfast.model.time import MILLISECOND, SECOND
from tests.unit.config.worlds import load, problems

CLUSTER = 'cluster: { coordinator: "etcd://e1,e2,e3", secret: { file: key } }'
HOSTS = """\
hosts:
  h1: { address: 10.0.0.1, labels: { zone: a, disk: ssd } }
  h2: { address: 10.0.0.2, labels: { zone: b }, fence: { command: [off, h2] } }
  h3: { address: 10.0.0.3, labels: { zone: b }, fence: { command: [off, h3] } }
"""


def file(services: str, *, cluster: str = CLUSTER, hosts: str = HOSTS) -> str:
    """Return a file in which the services begin in line 8."""
    indented = "\n".join("  " + line for line in services.splitlines())
    return f"system: shop\n{cluster}\n{hosts.rstrip()}\nservices:\n{indented}\n"


def several(services: str, *, cluster: str = CLUSTER, hosts: str = HOSTS) -> Policy:
    return load(file(services, cluster=cluster, hosts=hosts))


def wrong(services: str, *, cluster: str = CLUSTER, hosts: str = HOSTS) -> list[str]:
    return [line.split(": ", 1)[1] for line in problems(file(services, cluster=cluster, hosts=hosts))]


WEB = "web: { run: srv }"
DB = "db: { mode: singleton, members: { db-1: { on: h1 }, db-2: { on: h2 } }, run: srv"


# --- what it becomes ------------------------------------------------------------------------------------


def test_a_cluster_fills_every_field() -> None:
    written = """cluster:
  coordinator: zookeeper://z1:2181,[fd00::1]:2182/holdfast?user=shop&password_file=/etc/pass&timeout=2s
  secret: { env: SHOP_KEY }
  lease: 5s
  heartbeat: 200ms
  port: 7000
  tls: { ca: ca.pem, cert: /etc/cert.pem, key: /etc/key.pem }
  moves_max: 3"""
    assert several(WEB, cluster=written).cluster == ClusterPolicy(
        "zookeeper://z1:2181,[fd00::1]:2182/holdfast?user=shop&password_file=/etc/pass&timeout=2s",
        SecretFrom(env="SHOP_KEY"),
        lease=5 * SECOND,
        heartbeat=200 * MILLISECOND,
        port=7000,
        tls=TlsPolicy("/srv/shop/ca.pem", "/etc/cert.pem", "/etc/key.pem"),
        moves_max=3,
    )


def test_what_a_cluster_does_not_say_has_the_models_default() -> None:
    assert several(WEB).cluster == ClusterPolicy("etcd://e1,e2,e3", SecretFrom(file="/srv/shop/key"))


def test_hosts_have_addresses_labels_room_and_a_fence() -> None:
    hosts = """hosts:
  h1: { address: h1.example.org, labels: { zone: a, rack: 12 }, capacity: 4 }
  h2:
    address: "fd00::2"
    fence:
      agent: fence_ipmilan
      options: { ip: 10.0.9.2, lanplus: 1, password: { file: /etc/ipmi } }
      timeout: 30s
  h3: { address: 10.0.0.3, fence: { command: [./off, h3] } }"""
    options: dict[str, str | SecretFrom] = {
        "ip": "10.0.9.2",
        "lanplus": "1",
        "password": SecretFrom(file="/etc/ipmi"),
    }
    assert several(WEB, hosts=hosts).hosts == {
        "h1": HostPolicy("h1", "h1.example.org", {"zone": "a", "rack": "12"}, 4),
        "h2": HostPolicy("h2", "fd00::2", fence=FencePolicy("fence_ipmilan", options, timeout=30 * SECOND)),
        "h3": HostPolicy("h3", "10.0.0.3", fence=FencePolicy(command=("/srv/shop/off", "h3"))),
    }


def test_a_member_is_bound_to_a_host_or_left_to_the_leader() -> None:
    policy = several("""\
db:
  mode: singleton
  members: { db-1: { on: h2 }, db-2: { on: h3, host: db.example.org }, db-3: }
  port: 5432
  run: srv {on} {host} {address}
  on_coordinator_loss: hold
  needs_fencing: true
  placement: { require: { zone: b } }""")
    db = policy.services["db"]
    assert [(member.on, member.host) for member in db.members] == [
        ("h2", "10.0.0.2"),
        ("h3", "db.example.org"),
        (None, ""),
    ]
    assert db.members[0].run.command == ("srv", "h2", "10.0.0.2", "10.0.0.2")
    assert db.members[1].run.command == ("srv", "h3", "db.example.org", "10.0.0.3")
    assert (db.on_coordinator_loss, db.needs_fencing) == (CoordinatorLoss.HOLD, True)


def test_a_placement_fills_every_field() -> None:
    policy = several("""\
db: { run: srv, members: { db-1: { on: h1 } } }
cache: { run: srv, members: { cache-1: { on: h2 } } }
web:
  run: srv
  placement:
    require: { zone: b }
    prefer: { disk: ssd }
    spread_by: zone
    apart_from: [db]
    together_with: [cache]
    move_after: 1m""")
    assert policy.services["web"].placement == PlacementPolicy(
        {"zone": "b"}, {"disk": "ssd"}, "zone", ("db",), ("cache",), 60 * SECOND
    )


def test_on_is_a_key_like_any_other_though_yaml_takes_it_for_true() -> None:
    for quote in ("", '"'):
        policy = several(f"web: {{ run: srv, members: {{ w: {{ {quote}on{quote}: h1 }} }} }}")
        assert policy.services["web"].members[0].on == "h1"


@pytest.mark.parametrize(
    "services",
    [
        "web: { mode: active-active, members: { a: { on: h1 }, b: { on: h2 } }, port: 80, run: srv }",
        "web: { mode: singleton, members: 3, port: 80, run: srv }",
        "web: { run: srv, port: 80, members: { a: { on: h1 } } }\napp: { run: srv, port: 80, placement: { require: { zone: b } } }",
        "web: { run: srv, port: 80 }\napp: { run: srv, port: 81, traffic: { listen: 127.0.0.1:80 } }",
    ],
)
def test_what_never_meets_on_one_address_of_one_host_may_share_a_port(services: str) -> None:
    assert wrong(services) == []


@pytest.mark.parametrize(
    "url",
    [
        "etcd://10.0.0.1:2379",
        "etcds://e1,e2,e3/shop?ca=/etc/ca.pem&cert=/etc/c.pem&key=/etc/k.pem",
        "zookeeper://z1:2181,z2:2181/shop?tls=yes",
        "embedded:///var/lib/holdfast/store",
    ],
)
def test_a_coordinator_is_zookeeper_or_etcd_or_a_folder(url: str) -> None:
    cluster = several(WEB, cluster=f'cluster: {{ coordinator: "{url}", secret: {{ file: key }} }}').cluster
    assert cluster
    assert cluster.coordinator == url


def test_the_file_and_the_drivers_know_the_same_words_of_a_coordinators_address() -> None:
    assert set(coordinator.SCHEMES) == {*address.DEFAULT_PORTS, "embedded"}
    assert set(coordinator.OPTIONS) == set(address.OPTIONS) - {"password"}


@pytest.mark.parametrize(
    "url",
    [
        "etcd://e1,e2:2379/shop?timeout=2s",
        "etcds://[fd00::1]:2379?ca=/c&cert=/d&key=/k&user=u&password_file=/p",
        "etcd://a:0",
        "etcd://",
        "etcd://a,,b",
        "etcd://a b",
        "etcd://a?user=u",
        "etcd://a?cert=/c",
        "etcd://a?tls=perhaps",
        "etcds://a?tls=no",
        "etcd://a?ca=/c&tls=no",
        "etcd://a?colour=red",
        "etcd://a/",
        "etcd://a/Shop",
        "etcd://a/shop/..",
        "etcd://a/shop/.x%5f",
        "zookeeper://a/zookeeper/x",
        "zookeeper://a//x",
    ],
)
def test_the_file_and_the_drivers_agree_on_what_an_address_is(url: str) -> None:
    try:
        address.parsed(url)
        is_address = True
    except address.AddressError:
        is_address = False
    assert (
        wrong(WEB, cluster=f"cluster: {{ coordinator: '{url}', secret: {{ file: k }} }}") == []
    ) == is_address


# --- what is wrong with it ------------------------------------------------------------------------------


def test_hosts_and_cluster_go_together() -> None:
    (line,) = wrong(WEB, cluster="x-: 1")
    assert line.startswith("hosts: needs the key cluster: how the hosts hold together; write { coordinator:")
    (line,) = wrong(WEB, hosts="x-: 1")
    assert line.startswith("cluster: needs the key hosts: the hosts by name; write, for example, h1:")


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ("secret: { file: k }", "cluster: needs the key coordinator: the ensemble on which"),
        ("coordinator: 'etcd://e'", "cluster: needs the key secret: the key that all hosts share"),
        ("coordinator: e1, secret: { file: k }", 'cluster.coordinator = "e1": must be an address such as'),
        (
            "coordinator: 'consul://e', secret: { file: k }",
            "must be an address such as etcd://10.0.0.1:2379,",
        ),
        ("coordinator: 'etcd://', secret: { file: k }", 'has "" where a server should be; write name:port'),
        ("coordinator: 'etcd://a:0', secret: { file: k }", 'has "a:0" where a server should be'),
        ("coordinator: 'etcd://a b', secret: { file: k }", 'has "a b" where a server should be'),
        (
            "coordinator: 'etcd://a?pasword_file=/p', secret: { file: k }",
            'has the unknown option "pasword_file"; did you mean password_file?',
        ),
        ("coordinator: 'etcd://a?tls=maybe', secret: { file: k }", "must have tls=yes or tls=no"),
        ("coordinator: 'etcd://a?cert=/c', secret: { file: k }", "has only one of cert and key"),
        (
            "coordinator: 'zookeeper://a?user=u', secret: { file: k }",
            "has only one of user and password_file",
        ),
        (
            "coordinator: 'etcd://a?timeout=2', secret: { file: k }",
            "has a timeout that must be a duration such as",
        ),
        (
            "coordinator: 'etcd://a?timeout=2m', secret: { file: k }",
            "has a timeout that must be from 50ms to 1m",
        ),
        ("coordinator: 'embedded://store', secret: { file: k }", "must name a folder, with three slashes"),
        ("coordinator: 'embedded:///a?tls=yes', secret: { file: k }", "must have no options"),
        (
            "coordinator: 'etcd://e', secret: {}",
            "cluster.secret: needs exactly one of file and env, has none",
        ),
        (
            "coordinator: 'etcd://e', secret: { from_file: k }",
            "cluster.secret.from_file: unknown key; did you mean file?",
        ),
        ("coordinator: 'etcd://e', secret: { file: k }, lease: 500ms", '"500ms": must be from 1s to 5m'),
        ("coordinator: 'etcd://e', secret: { file: k }, heartbeat: 10ms", '"10ms": must be from 20ms to 5s'),
        (
            "coordinator: 'etcd://e', secret: { file: k }, lease: 1s, heartbeat: 200ms",
            'cluster.lease = "1s": must be at least 10 x heartbeat (2s); raise lease or lower heartbeat',
        ),
        (
            "coordinator: 'etcd://e', secret: { file: k }, heartbeat: 1s",
            'cluster.heartbeat = "1s": must be at most a tenth of lease (3s, its default); raise lease or lower',
        ),
        ("coordinator: 'etcd://e', secret: { file: k }, port: 0", "must be a whole number from 1 to 65535"),
        ("coordinator: 'etcd://e', secret: { file: k }, tls: { ca: c }", "cluster.tls: needs the key cert"),
        (
            "coordinator: 'etcd://e', secret: { file: k }, moves_max: 0",
            "must be a whole number from 1 to 1000",
        ),
    ],
)
def test_one_mistake_in_the_cluster_earns_lines_that_say_what_is_allowed(keys: str, wanted: str) -> None:
    lines = wrong(WEB, cluster=f"cluster: {{ {keys} }}")
    assert any(wanted in line for line in lines), lines
    assert len(lines) == (2 if "tls: {" in keys else 1)


@pytest.mark.parametrize(
    "keys",
    [
        'coordinator: "etcd://e1?user=u&password=zqxwkj", secret: { file: k }',
        'coordinator: "zookeeper://u:zqxwkj@z1", secret: { file: k }',
        "coordinator: etcd://e1, secret: zqxwkj",
        "coordinator: etcd://e1, secret: [zqxwkj]",
    ],
)
def test_a_password_or_key_in_the_file_is_refused_and_never_shown(keys: str) -> None:
    (line,) = wrong(WEB, cluster=f"cluster: {{ {keys} }}")
    assert "zqxwkj" not in line
    assert "file" in line.split("; ")[-1] or "must be a mapping" in line


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    [
        (
            "h1: { address: a }",
            "hosts = a mapping: must be hosts by name, 2 at least: one alone has nowhere to",
        ),
        ("[h1, h2]", "hosts = a list: must be hosts by name, 2 at least; write, for example, h1:"),
        ("", "hosts = nothing: must be hosts by name, 2 at least"),
        ("h1: { address: a }, h2: ", "hosts.h2: needs the key address: where the other hosts reach it"),
        ("h1: { address: a }, H2: { address: b }", 'hosts.H2: "H2" must be a name of a-z, 0-9 and -'),
        (
            "h1: { address: a }, h2: { address: 'b c' }",
            'hosts.h2.address = "b c": must be a host name or an IP',
        ),
        (
            "h1: { address: a }, h2: { address: a }",
            'hosts.h2.address = "a": is the address of h1 too; each host has',
        ),
        (
            "h1: { address: a, labels: { Zone: x } }, h2: { address: b }",
            'hosts.h1.labels: "Zone" must be a label of a-z',
        ),
        (
            "h1: { address: a, labels: { host: x } }, h2: { address: b }",
            "must be a label of a-z, 0-9 and -, and not be host",
        ),
        (
            "h1: { address: a, labels: { zone: 'x y' } }, h2: { address: b }",
            'hosts.h1.labels.zone = "x y": must be a word of',
        ),
        (
            "h1: { address: a, capacity: -1 }, h2: { address: b }",
            'capacity = "-1": must be a whole number from 0 to',
        ),
        (
            "h1: { address: a, fence: {} }, h2: { address: b }",
            "hosts.h1.fence: needs exactly one of agent and command, has none of them; write, for example, { agent:",
        ),
        (
            "h1: { address: a, fence: { agent: f, command: [g] } }, h2: { address: b }",
            "hosts.h1.fence: needs exactly one of agent and command, has agent and command",
        ),
        (
            "h1: { address: a, fence: { command: [g], options: { ip: x } } }, h2: { address: b }",
            "hosts.h1.fence.options: options goes with agent, not with command; remove it",
        ),
        (
            "h1: { address: a, fence: { agent: f, options: { action: on } } }, h2: { address: b }",
            'fence.options: "action" must be an option of the fence agent, and not be action, which is ours',
        ),
    ],
)
def test_one_mistake_in_the_hosts_earns_one_line_that_says_what_is_allowed(hosts: str, wanted: str) -> None:
    (line,) = wrong(WEB, hosts=f"hosts: {hosts if hosts[:1] in ('', '[') else f'{{ {hosts} }}'}")
    assert wanted in line


def test_an_option_of_a_fence_agent_is_never_shown() -> None:
    hosts = "hosts: { h1: { address: a, fence: { agent: f, options: { password: [zqxwkj] } } }, h2: { address: b } }"
    (line,) = wrong(WEB, hosts=hosts)
    assert "zqxwkj" not in line


@pytest.mark.parametrize(
    ("services", "wanted"),
    [
        (
            "web: { run: srv, members: { w: { on: h9 } } }",
            'web.members.w.on = "h9": there is no such host; known: h1, h2, h3',
        ),
        ("web: { run: srv, members: { w: { on: 1 } } }", 'web.members.w.on = "1": must be a name of a-z'),
        (
            "web: { run: srv, members: { w: { on: h1 } }, placement: {} }",
            "web.placement: has nothing to place: all members are bound to a host; remove it, or the key on",
        ),
        (
            "web: { run: srv, mode: active-active, on_coordinator_loss: hold }",
            "web.on_coordinator_loss: goes with active-standby and singleton: in active-active nobody has to",
        ),
        (
            "web: { run: srv, mode: active-active, needs_fencing: true }",
            "web.needs_fencing: goes with active-standby and singleton",
        ),
        (
            "web: { run: srv, on_coordinator_loss: wait }",
            'on_coordinator_loss = "wait": must be stop or hold',
        ),
        (
            f"{DB}, needs_fencing: true }}",
            "db.needs_fencing: needs a fence for every host that its members may run on: h1 has none; write",
        ),
        (
            "web: { run: srv, needs_fencing: true }",
            "may run on: h1 has none; write hosts.h1.fence, or remove",
        ),
        (
            "web: { run: 'srv {of}' }",
            "there is no variable {of}; known here: {address}, {host}, {member}, {on}, {",
        ),
        ("web: { run: srv, members: { w: { vars: { on: x } } } }", '"on" must be a new variable\'s name'),
        # ports
        (
            "web: { mode: active-active, members: { a: { on: h1 }, b: { on: h1 } }, port: 80, run: srv }",
            "web.members.b.port: member b of web and member a of web (line 8) both listen on 10.0.0.1:80; for one",
        ),
        (
            "web: { mode: active-active, members: 2, port: 80, run: srv }",
            "would both listen on 10.0.0.1:80 if the leader placed them on h1; for one port after the other write",
        ),
        (
            "web: { run: srv, port: 80 }\napp: { run: srv, port: 80, members: { a: { on: h2 } } }",
            "member a of app and member web-1 of web (line 8) would both listen on 10.0.0.2:80 if the leader placed",
        ),
        (
            "web: { run: srv, port: 80, members: { w: { on: h2 } }, traffic: { listen: '*:80' } }",
            "member w of web and traffic of web (line 8) both listen on 10.0.0.2:80",
        ),
        ("web: { run: srv, port: 7420 }", "member web-1 of web and the agent (line 2) would both listen on"),
        (
            "web: { run: srv, port: 81, traffic: { listen: '10.0.0.2:80' } }",
            "web.traffic.listen: is an address of h2 alone, and the HAProxy of every host listens; write 0.0.0.0:",
        ),
        # placement
        (
            "web: { run: srv, placement: { require: { zone: c } } }",
            'web.placement.require.zone = "c": no host has this label so; known: a, b',
        ),
        (
            "web: { run: srv, placement: { require: { disc: ssd } } }",
            'web.placement.require.disc = "ssd": no host has this label so; did you mean disk?',
        ),
        (
            "web: { run: srv, placement: { require: { zone: b, disk: ssd } } }",
            "web.placement.require: no host has all of these labels",
        ),
        (
            "web: { run: srv, placement: { prefer: { disc: ssd } } }",
            "web.placement.prefer.disc: no host has this label; did you mean disk?",
        ),
        (
            "web: { run: srv, placement: { spread_by: zones } }",
            'web.placement.spread_by = "zones": no host has this label; did you mean zone?',
        ),
        (
            "web: { run: srv, placement: { apart_from: [bd] } }\ndb: { run: srv }",
            "web.placement.apart_from[0]: there is no service bd; known: web, db",
        ),
        (
            "web: { run: srv, placement: { together_with: [web] } }",
            "together_with[0]: a service cannot be placed by itself; remove it; to spread its members use spread_by",
        ),
        (
            "web: { run: srv, placement: { apart_from: [db, db] } }\ndb: { run: srv }",
            "web.placement.apart_from[1]: db is there twice",
        ),
        (
            "web: { run: srv, placement: { apart_from: [db], together_with: [db] } }\ndb: { run: srv }",
            'web.placement.apart_from[0] = "db": contradicts together_with, which brings them to one host: web -> db',
        ),
        (
            (
                "web: { run: srv, placement: { apart_from: [db] } }\napp: { run: srv, placement: { together_with: [web] } }\n"
                "db: { run: srv, placement: { together_with: [app] } }"
            ),
            "which brings them to one host: db -> app -> web; remove one of the two",
        ),
        (
            "web: { run: srv, placement: { together_with: [app] } }\napp: { run: srv, placement: { together_with: [web] } }",
            "web.placement.together_with: goes in a circle: web -> app -> web; none of them could be placed first",
        ),
        (
            (
                "web: { run: srv, placement: { require: { zone: a }, apart_from: [db] } }\n"
                "db: { run: srv, members: { d: { on: h1 } } }"
            ),
            "web.placement: leaves no host: apart_from and together_with rule each of them out; leave one",
        ),
        ("web: { run: srv, placement: { move_after: 0s } }", 'move_after = "0s": must be from 1s to 1d'),
    ],
)
def test_one_mistake_in_a_service_earns_one_line_that_says_what_is_allowed(
    services: str, wanted: str
) -> None:
    (line,) = wrong(services)
    assert wanted in line


def test_a_placement_is_not_blamed_for_a_host_that_has_a_mistake() -> None:
    hosts = HOSTS.replace("10.0.0.1", '"no such"')
    (line,) = wrong("web: { run: srv, placement: { require: { disk: ssd } } }", hosts=hosts)
    assert 'hosts.h1.address = "no such"' in line


def test_keys_for_several_hosts_are_mistakes_in_a_file_for_one() -> None:
    lines = problems("""\
        system: shop
        services:
          web:
            run: srv
            members: { w: { on: h1 } }
            placement: {}
            needs_fencing: true
            on_coordinator_loss: hold
        """)
    assert [int(line.split(":")[1]) for line in lines] == [5, 6, 7, 8]
    assert all(
        "needs several hosts, and the file is for one; add hosts and cluster" in line for line in lines
    )


def test_mistakes_everywhere_are_told_at_once_and_lead_to_no_others() -> None:
    lines = wrong(
        "web: { run: srv, members: { w: { on: h2 } }, needs_fencing: true }\n"
        "app: { run: , placement: { apart_from: [db], require: { zone: c } } }",
        cluster="cluster: { coordinator: x, lease: 1, secret: { file: k } }",
        hosts="hosts: { h1: { address: a, capacity: x }, h2: { address: b } }",
    )
    assert [line.split(":")[0].split(" = ")[0] for line in lines] == [
        "cluster.coordinator",
        "cluster.lease",
        "hosts.h1.capacity",
        "services.web.needs_fencing",
        "services.app",
        "services.app.placement.apart_from[0]",
    ]


# --- what it would do, and what it leaves weak --------------------------------------------------------------


def made(old: str | None, new: str) -> Plan:
    return plan(load(old) if old else None, load(new))


def texts(old: str | None, new: str) -> list[str]:
    return [f"{change.kind}: {change.text}" for change in made(old, new).changes]


BEFORE = file(
    DB + " }\nweb: { run: 'srv {host}', mode: active-active, members: { web-1: , web-2: { on: h3 } } }"
)


def test_a_plan_says_what_joins_and_where_members_run() -> None:
    assert texts(
        None,
        BEFORE.replace("web-2: { on: h3 } }", "web-2: { on: h3 } }, placement: { require: { zone: b } }"),
    ) == [
        "added: h1 joins at 10.0.0.1, with db/db-1",
        "added: h2 joins at 10.0.0.2, with db/db-2",
        "added: h3 joins at 10.0.0.3, with web/web-2",
        "added: db/db-1 is new: it is started on h1",
        "added: db/db-2 is new: it is started on h2 only if it has to take over",
        "added: web/web-1 is new: it is started where the leader places it, on a host with zone b",
        "added: web/web-2 is new: it is started on h3",
    ]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (
            "on: h2",
            "on: h3",
            ["restarted: db/db-2 moves from h2 to h3: it is stopped there and started here"],
        ),
        (
            "web-2: { on: h3 }",
            "web-2:",
            ["adjusted: web/web-2 is no longer bound to h3: the leader places it"],
        ),
        (
            "web-1: ,",
            "web-1: { on: h1 },",
            ["restarted: web/web-1 is bound to h1: it moves there if it runs elsewhere"],
        ),
        ("disk: ssd", "disk: hdd", ["adjusted: h1: labels changed"]),
        (
            "10.0.0.1,",
            "10.0.0.9,",
            ["adjusted: h1: address changed", "adjusted: db/db-1 goes on running: host changed"],
        ),
        ("file: key }", "file: key }, lease: 9s", ["adjusted: cluster: lease changed"]),
        (
            "run: srv }",
            "run: srv, on_coordinator_loss: hold }",
            ["adjusted: db: on_coordinator_loss changed"],
        ),
        (
            "members: { web-1",
            "placement: { prefer: { zone: b } }, members: { web-1",
            ["adjusted: web: placement.prefer changed"],
        ),
    ],
)
def test_each_difference_between_hosts_is_a_change_of_its_kind(old: str, new: str, wanted: list[str]) -> None:
    assert texts(BEFORE, BEFORE.replace(old, new)) == wanted


def test_a_host_that_leaves_is_a_change() -> None:
    after = BEFORE.replace("on: h3", "on: h2").replace("  h3:", "x-:\n  h3:")
    assert texts(BEFORE, after) == [
        "removed: h3 leaves: what the leader placed on it is placed elsewhere",
        "restarted: web/web-2 moves from h3 to h2: it is stopped there and started here",
    ]


def test_one_host_can_become_several_and_several_one() -> None:
    one = "system: shop\nservices: { db: { run: srv } }\n"
    many = file("db: { run: srv }")
    assert texts(one, many)[0].startswith("adjusted: several hosts from now on")
    assert texts(many, one)[0].startswith("adjusted: one host from now on")


def weak(text: str) -> dict[str, WeaknessCode]:
    """Return the weaknesses between hosts, by subject."""
    codes = set(WeaknessCode) - {WeaknessCode.NO_PROBES, WeaknessCode.ONE_MEMBER, WeaknessCode.SAME_COMMAND}
    return {found.subject: found.code for found in made(None, text).weaknesses if found.code in codes}


def test_members_on_two_hosts_and_three_coordinators_are_not_weak() -> None:
    assert weak(BEFORE) == {}


@pytest.mark.parametrize(
    ("text", "subject", "code"),
    [
        (BEFORE.replace("e1,e2,e3", "e1"), "cluster", WeaknessCode.LONE_COORDINATOR),
        (BEFORE.replace("e1,e2,e3", "e1,e2"), "cluster", WeaknessCode.LONE_COORDINATOR),
        (BEFORE.replace("etcd://e1,e2,e3", "embedded:///s"), "cluster", WeaknessCode.LONE_COORDINATOR),
        (BEFORE.replace("on: h2", "on: h1"), "h1", WeaknessCode.LONE_HOST),
        (file("web: { run: srv, placement: { require: { disk: ssd } } }"), "h1", WeaknessCode.LONE_HOST),
        (
            file(DB + " }\nweb: { run: srv, placement: { apart_from: [db] } }"),
            "h3",
            WeaknessCode.LONE_HOST,
        ),
        (
            file("web: { run: 'srv {member}', mode: active-active, members: 5 }").replace(
                "labels:", "capacity: 2, labels:"
            ),
            "h1",
            WeaknessCode.NO_ROOM,
        ),
        (
            file("web: { run: srv, port: 81, host: localhost, traffic: { listen: 80, protocol: tcp } }"),
            "web",
            WeaknessCode.LOOPBACK,
        ),
    ],
)
def test_each_weakness_between_hosts_is_found_alone(text: str, subject: str, code: WeaknessCode) -> None:
    assert weak(text) == {subject: code}
    assert all(found.advice for found in made(None, text).weaknesses)


def test_members_that_are_bound_to_two_hosts_may_be_alike() -> None:
    services = "web: { mode: active-active, members: { a: { on: h1 }, b: { on: h2 } }, port: 80, run: srv }"
    assert not [w for w in made(None, file(services)).weaknesses if w.code is WeaknessCode.SAME_COMMAND]


# --- beside a primary -----------------------------------------------------------------------------------

FOLLOWS = "vip: { mode: singleton, members: { a: { on: h1 }, b: { on: h2 } }, run: srv, with_primary_of"


def test_a_service_may_live_with_the_primary_of_another() -> None:
    policy = several(f"{DB} }}\n{FOLLOWS}: db, depends_on: [db] }}")
    assert policy.services["vip"].with_primary_of == "db"


@pytest.mark.parametrize(
    ("services", "wanted"),
    [
        (f"{DB} }}\n{FOLLOWS}: bd }}", 'with_primary_of = "bd": there is no such service; known: db, vip'),
        (f"{FOLLOWS}: vip }}", "with_primary_of: a service cannot live with its own primary"),
        (f"{WEB[:-2]}, mode: active-active }}\n{FOLLOWS}: web }}", 'with_primary_of = "web": has no primary'),
        (f"{DB} }}\nvip: {{ run: srv, with_primary_of: db }}", "needs members that are bound to hosts"),
        (f"{DB}, with_primary_of: vip }}\n{FOLLOWS}: db }}", "goes in a circle: db -> vip -> db"),
        (
            f"{DB} }}\n{FOLLOWS}: db }}".replace("vip: { mode: singleton", "vip: { mode: active-active"),
            "in active-active",
        ),
    ],
)
def test_a_service_that_could_not_live_with_a_primary_is_named(services: str, wanted: str) -> None:
    (line,) = wrong(services)
    assert wanted in line
