"""What a valid file becomes."""

from pathlib import Path

import pytest

from holdfast.config import Accounts, ConfigError
from holdfast.config import load as load_file
from holdfast.model.policy import (
    ExecCheck,
    HttpCheck,
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Purpose,
    SecretFrom,
    ServicePolicy,
    TcpCheck,
    TrafficPolicy,
)
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from tests.unit.config.worlds import ALICE, load, service


def only_member(policy: Policy) -> MemberPolicy:
    (member,) = policy.services["web"].members
    return member


def probe(lines: str) -> ProbePolicy:
    (found,) = only_member(service(f"port: 8081\nrun: srv\nprobes: {{ p: {{ {lines} }} }}")).probes
    return found


def test_the_shortest_file_has_every_default_of_the_model() -> None:
    policy = service("run: ./serve")
    spec = ProcessSpec(command=("/srv/shop/serve",))
    wanted = ServicePolicy("web", Mode.SINGLETON, (MemberPolicy("web-1", spec),))
    assert policy == Policy("shop", {"web": wanted}, revision=policy.revision)
    assert len(policy.revision) == 12


def test_a_command_in_one_line_is_split_into_words_before_templates_are_filled_in() -> None:
    policy = service("""
        members: { web-1: { vars: { title: two words } } }
        run: srv --name 'a b' {title}
    """)
    assert only_member(policy).run.command == ("srv", "--name", "a b", "two words")


def test_a_list_is_taken_as_it_is_even_with_a_shells_characters() -> None:
    run = only_member(service("run: [sh, -c, 'a | b > $C', 10, true, '{{}}']")).run
    assert run.command == ("sh", "-c", "a | b > $C", "10", "true", "{}")


def test_the_long_form_of_run_fills_every_field() -> None:
    run = only_member(
        service("""
        port: 9000
        run:
          command: [bin/app, "{system}/{service}/{member}", "{host}:{port}"]
          env:
            PORT: 8080
            DEBUG: true
            AT: "{port}"
            TOKEN: { from_file: secrets/token }
            KEY: { from_env: APP_KEY }
          user: www-data
          group: ops
          directory: data
          stop: { signal: SIGINT, grace: 5s }
          promote: [notify, up]
          demote: notify down
          hook_timeout: 3s
          log_max: 500kB
        """)
    ).run
    assert run == ProcessSpec(
        command=("/srv/shop/bin/app", "shop/web/web-1", "127.0.0.1:9000"),
        env={
            "PORT": "8080",
            "DEBUG": "true",
            "AT": "9000",
            "TOKEN": SecretFrom(file="/srv/shop/secrets/token"),
            "KEY": SecretFrom(env="APP_KEY"),
        },
        user="www-data",
        group="ops",
        directory="/srv/shop/data",
        stop_signal="INT",
        stop_grace=5 * SECOND,
        promote=("notify", "up"),
        demote=("notify", "down"),
        hook_timeout=3 * SECOND,
        log_max_bytes=500_000,
    )


def test_a_member_says_only_what_differs_from_its_service() -> None:
    policy = service("""
        mode: active-active
        port: 8081+
        host: 10.0.0.1
        run: { command: [srv], env: { A: 1, B: 2 }, stop: { signal: INT, grace: 1s } }
        probes: { alive: { http: / }, port: { tcp: "{port}" } }
        members:
          one:
          two:
            port: 9000
            host: 10.0.0.2
            weight: 2
            traffic_weight: 7
            run: { env: { B: 3 }, stop: { grace: 2s } }
            probes: { port: null, alive: { exec: check } }
          three: { run: [other] }
    """)
    one, two, three = policy.services["web"].members
    assert (one.port, two.port, three.port) == (8081, 9000, 8083)
    assert (one.host, two.host) == ("10.0.0.1", "10.0.0.2")
    assert (two.weight, two.traffic_weight) == (2, 7)
    assert two.run == replace(one.run, env={"A": "1", "B": "3"}, stop_grace=2 * SECOND)
    assert three.run == replace(one.run, command=("other",))
    assert [p.check for p in one.probes] == [HttpCheck("10.0.0.1", 8081, "/"), TcpCheck("10.0.0.1", 8081)]
    assert [p.check for p in two.probes] == [ExecCheck(("check",))]


@pytest.mark.parametrize("members", ["2", "[web-1, web-2]", "{ web-1: , web-2: {} }"])
def test_members_can_be_written_in_three_ways(members: str) -> None:
    policy = service(f"mode: singleton\nport: 8081+\nmembers: {members}\nrun: srv")
    assert [(m.name, m.port) for m in policy.services["web"].members] == [("web-1", 8081), ("web-2", 8082)]


def test_a_probe_can_name_a_url_or_a_path_at_the_members_port() -> None:
    url = probe('http: "https://example.org/x?y=1", tls_verify: false, headers: { Host: 1 }, method: HEAD')
    assert url.check == HttpCheck(
        "example.org", 443, "/x?y=1", tls=True, tls_verify=False, method="HEAD", headers={"Host": "1"}
    )
    path = probe("http: /healthz, expect_status: [200, 300-302], expect_body: ok")
    assert path.check == HttpCheck(
        "127.0.0.1", 8081, "/healthz", expect_status=((200, 200), (300, 302)), expect_body="ok"
    )


def test_a_probe_is_for_liveness_unless_it_says_otherwise() -> None:
    assert probe("http: /").purpose is Purpose.LIVENESS
    assert probe("exec: check, purpose: startup").purpose is Purpose.STARTUP


def test_a_timeout_that_is_not_written_is_never_longer_than_the_interval() -> None:
    brisk = probe("http: /, every: 50ms")
    assert brisk.timeout == brisk.every_suspect == 50 * MILLISECOND


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ('"*:80"', "0.0.0.0", 80),
        ('"[::1]:8080"', "::1", 8080),
    ],
)
def test_traffic_listens_on_loopback_unless_a_host_is_written(listen: str, host: str, port: int) -> None:
    policy = service(f"port: 9000\nrun: srv\ntraffic: {{ listen: {listen} }}")
    assert policy.services["web"].traffic == TrafficPolicy(host, port)


def test_services_are_ordered_so_that_dependencies_come_first() -> None:
    policy = load("""
        system: shop
        services:
          web: { run: web, depends_on: [app] }
          mail: { run: mail }
          app: { run: app, depends_on: [db, cache] }
          db: { run: db }
          cache: { run: cache }
    """)
    assert list(policy.services) == ["mail", "db", "cache", "app", "web"]


def test_singleton_members_may_share_a_port_because_only_one_runs() -> None:
    policy = service("mode: singleton\nmembers: 2\nport: 8081\nrun: srv")
    assert [m.port for m in policy.services["web"].members] == [8081, 8081]


def test_the_revision_changes_with_the_meaning_and_not_with_the_layout() -> None:
    one = service("run: [srv, a]")
    assert one.revision == service("# a comment\nrun:\n  command: srv a").revision
    assert one.revision != service("run: [srv, b]").revision


def test_a_user_that_we_are_ourselves_needs_no_root() -> None:
    assert only_member(service("run: { command: srv, user: alice, group: ops }", ALICE)).run.user == "alice"


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.yaml"
    file.write_text("system: shop\nservices:\n  web: { run: { command: ./srv, directory: . } }\n", "utf-8")
    run = only_member(load_file(file)).run
    assert (run.command, run.directory) == ((str(tmp_path / "srv"),), str(tmp_path))


def failure(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    return str(caught.value).removeprefix(str(path))


def test_a_file_that_cannot_be_read_is_an_error_of_the_operator(tmp_path: Path) -> None:
    assert failure(tmp_path / "missing") == ": cannot be read: no such file or directory"
    assert failure(tmp_path) == ": cannot be read: is a directory"


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.yaml"
    file.write_bytes("system: shop\nx-ä: \u20ac".encode() + b"\xff")
    assert failure(file) == (":2:7: is not UTF-8: the byte 0xff begins no character; save the file as UTF-8")


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.yaml"
    with file.open("wb") as out:
        out.truncate(1_000_000_000)
    assert failure(file) == ":1:1: the file is longer than 1 MB; is it the right file?"


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.yaml"
    file.write_bytes(b"\xef\xbb\xbfsystem: shop\nservices: { web: { run: srv } }\n")
    assert load_file(file).system == "shop"


def test_this_hosts_own_user_is_known_to_it() -> None:
    accounts = Accounts.of_this_host()
    assert accounts.has_user(accounts.user)
    assert accounts.own_groups
    assert all(accounts.has_group(name) for name in accounts.own_groups)
    assert not accounts.has_user("no such user")
    assert not accounts.has_group("a\0b")
