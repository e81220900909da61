"""What is wrong with a file: each mistake with its place, what is allowed and a hint; all of them at once."""

import pytest

from holdfast.config import ConfigError, load_text
from tests.unit.config.worlds import ALICE, ROOT, problems, service_problems

DURATION = "must be a duration such as 500ms, 2s or 5m"
KNOWN = "known here: {host}, {member}, {service}, {system}"

# The keys of one service, and the one line that they earn.
MISTAKES = [
    # the shape of the file
    ("run: srv\nprobs: {}", "probs: unknown key; did you mean probes?"),
    ("run: srv\nenv: { A: b }", "env: unknown key; it belongs under run"),
    ("run: srv\nrun: other", "services.web: run is there twice, first in line 4; remove one of them"),
    (
        "run: srv\nrestart: 5",
        'restart = "5": must be a mapping with keys such as max, window, backoff, backoff_max',
    ),
    (
        "run: srv\nrestart: { max:  }",
        "restart.max = nothing: must be a whole number from 0 to 1000; write a value",
    ),
    ("run: srv\nrestart: { max: [1] }", "restart.max = a list: must be a whole number from 0 to 1000"),
    ("run: !secret srv", 'run: the tag "!secret" means nothing here; remove it'),
    (
        "members: 1",
        "services.web: needs the key run: how to run a member; required unless each member has its own",
    ),
    # durations, sizes, numbers, words
    ("run: srv\nrestart: { window: 2 }", f'restart.window = "2": {DURATION}; write window: 2s'),
    ('run: srv\nrestart: { window: "2" }', f'restart.window = "2": {DURATION}; write window: 2s'),
    ("run: srv\nrestart: { window: 2 min }", f'restart.window = "2 min": {DURATION}; write window: 2m'),
    ("run: srv\nrestart: { window: soon }", f'restart.window = "soon": {DURATION}'),
    ("run: srv\nrestart: { window: 10ms }", 'restart.window = "10ms": must be from 1s to 365d'),
    (f"run: srv\nrestart: {{ window: {'9' * 400}s }}", 'restart.window = "999'),
    (
        "run: srv\nrestart: { backoff: 5s, backoff_max: 1s }",
        'restart.backoff = "5s": must be at most backoff_max (1s);',
    ),
    (
        "run: srv\nrestart: { backoff: 1m }",
        'restart.backoff = "1m": must be at most backoff_max (30s, its default);',
    ),
    (
        'run: srv\nrestart: { max: "5" }',
        'restart.max = "5": must be a whole number from 0 to 1000; write it without',
    ),
    ("run: srv\nrestart: { max: 010 }", 'restart.max = "010": must be a whole number from 0 to 1000'),
    (
        "run: srv\nrestart: { strategy: one-for-all }",
        'restart.strategy = "one-for-all": must be one_for_one, one_for_all',
    ),
    (
        "run: srv\nflapping: { hold: 10m }",
        'flapping.hold = "10m": must be at most hold_max (5m, its default);',
    ),
    ("run: srv\nthreshold: 1.5", 'threshold = "1.5": must be a number from 0 to 1'),
    (
        "run: srv\nthreshold: 50%",
        'threshold = "50%": must be a number from 0 to 1; write a share, such as 0.5 for 50%',
    ),
    ("run: srv\nthreshold: .nan", 'threshold = ".nan": must be a number from 0 to 1'),
    ("run: srv\nweight: 0", 'weight = "0": must be a number greater than 0, at most 1000'),
    ("run: srv\nfailback: yes", 'failback = "yes": must be true or false; write failback: true'),
    ('run: srv\nfailback: "true"', 'failback = "true": must be true or false; write failback: true'),
    (
        "run: srv\nmode: active",
        'mode = "active": must be active-active, active-standby or singleton; did you mean',
    ),
    # commands and templates
    ("run: ''", 'run = "": names no program'),
    ("run: []", "run = a list: must be a program and its arguments, as a list or in one line"),
    (
        "run: a | b",
        'run = "a | b": "|" needs a shell, and there is none; write a list to pass it on as it is',
    ),
    ("run: a && b", '"&&" needs a shell'),
    ("run: a >log", '">log" needs a shell'),
    ("run: a 2>&1", '"2>&1" needs a shell'),
    ("run: cd x; a", '"x;" needs a shell'),
    ("run: a $HOME", '"$HOME" needs a shell'),
    ("run: a `b`", '"`b`" needs a shell'),
    ("run: A=1 srv", 'run = "A=1 srv": "A=1" is no program; set variables under env:'),
    ("run: ~/srv", 'run = "~/srv": ~ is known to shells only; write the whole path'),
    ("run: it's", 'run = "it\'s": cannot be split into words: no closing quotation; close the quote'),
    ("run: [srv, [x]]", "run[1] = a list: must be text; put it in quotes"),
    (
        "run: [srv, {port}]",
        'run[1] = a mapping: must be text; text that begins with a brace needs quotes: "{port}"',
    ),
    ("run: [srv, null]", "run[1] = nothing: must be text"),
    (
        "run: srv {prot}",
        f'run = "srv {{prot}}": there is no variable {{prot}}; {KNOWN}; for a brace itself write',
    ),
    ("run: srv {port}", "there is no {port} here: the member has none; give the service a port"),
    ('run: [awk, "{ print }"]', 'run[1] = "{ print }": there is no variable { print };'),
    ('run: [srv, "a}"]', f'run[1] = "a}}": has a brace that names no variable ({KNOWN})'),
    ('run: [srv, "a\\0b"]', 'run[1] = "a\\u0000b": holds a NUL character, which no program can be given'),
    # run
    ("run: { command: srv, directory: 5 }", 'run.directory = "5": must be a path; put it in quotes'),
    (
        "run: { command: srv, user: nosuch }",
        'run.user = "nosuch": there is no such user on this host; add it with',
    ),
    ("run: { command: srv, group: nosuch }", 'run.group = "nosuch": there is no such group on this host;'),
    ("run: { command: srv, stop: { signal: term } }", 'run.stop.signal = "term": must be TERM, INT, QUIT'),
    (
        "run: { command: srv, log_max: 100 }",
        'run.log_max = "100": must be a size such as 500kB, 10MB or 1GiB; write',
    ),
    ("run: { command: srv, log_max: 1B }", 'run.log_max = "1B": must be from 10kB to 10GB'),
    ("run: { command: srv, env: { A: [1] } }", "run.env.A: must be text or a number"),
    ("run: { command: srv, env: { 1A: x } }", 'run.env: "1A" must be a variable\'s name'),
    ("run: { command: srv, env: { HOLDFAST_X: x } }", 'run.env: "HOLDFAST_X" must be a variable\'s name'),
    (
        "run: { command: srv, env: { A: {} } }",
        "run.env.A: needs exactly one of from_file and from_env, has none of",
    ),
    (
        "run: { command: srv, env: { A: { from_file: a, from_env: B } } }",
        "run.env.A: needs exactly one of from_file and from_env, has from_file and from_env",
    ),
    (
        "run: { command: srv, env: { A: { from_fil: a } } }",
        "run.env.A.from_fil: unknown key; did you mean from_file?",
    ),
    # probes
    (
        "run: srv\nprobes: { a: { every: 1s } }",
        "probes.a: needs exactly one of http, tcp and exec, has none of them",
    ),
    ("run: srv\nprobes: { a: }", "probes.a: needs exactly one of http, tcp and exec"),
    (
        "run: srv\nprobes: { a: { tcp: 1, exec: x } }",
        "probes.a: needs exactly one of http, tcp and exec, has tcp and",
    ),
    (
        "run: srv\nprobes: { a: { tcp: 1, method: GET } }",
        "probes.a.method: method goes with http, not with tcp",
    ),
    (
        "run: srv\nprobes: { a: { exec: x, expect: ok } }",
        "probes.a.expect: expect goes with tcp, not with exec",
    ),
    ("run: srv\nprobes: { A: { tcp: 1 } }", 'probes: "A" must be a name of a-z, 0-9 and -'),
    ("run: srv\nprobes: { a: { http: / } }", 'probes.a.http = "/": the member has no port to ask'),
    ("run: srv\nprobes: { a: { http: 'ftp://h/' } }", 'probes.a.http = "ftp://h/": must be a URL such as'),
    ("run: srv\nprobes: { a: { http: 'http://h:99999/' } }", "is not a url: port out of range 0-65535"),
    ("run: srv\nprobes: { a: { http: 'http://[::1/' } }", "is not a url: "),
    ("run: srv\nprobes: { a: { http: 'http://u:p@h/' } }", "must not hold a user or password"),
    ("run: srv\nprobes: { a: { http: 'http://h/a b' } }", "must not hold blanks or characters outside ASCII"),
    ("run: srv\nprobes: { a: { tcp: localhost } }", 'probes.a.tcp = "localhost": must be host:port such as'),
    (
        "run: srv\nprobes: { a: { tcp: 70000 } }",
        'probes.a.tcp = "70000": must be a whole number from 1 to 65535',
    ),
    (
        "run: srv\nprobes: { a: { tcp: 1, every: 1s, timeout: 2s } }",
        'probes.a.timeout = "2s": must be at most every (1s)',
    ),
    (
        "run: srv\nprobes: { a: { tcp: 1, rise: 0 } }",
        'probes.a.rise = "0": must be a whole number from 1 to 100',
    ),
    (
        "run: srv\nport: 1\nprobes: { a: { http: /, expect_status: 399-200 } }",
        'probes.a.expect_status = "399-200": must be an HTTP status, a range such as 200-399, or a list of them',
    ),
    (
        'run: srv\nprobes: { a: { http: "http://h/", headers: { X: "a\\r\\nb" } } }',
        "headers.X: must be one line of",
    ),
    # members
    (
        "run: srv\nmembers: 2",
        "services.web: needs the key mode, because it has 2 members; write mode: active-active",
    ),
    ("run: srv\nmembers: 0", 'members = "0": must be a whole number from 1 to 100'),
    (
        "run: srv\nmembers: many",
        'members = "many": must be names with settings, a list of names, or how many',
    ),
    ("run: srv\nmembers: []", "members = a list: must be names with settings, a list of names, or how many"),
    ("run: srv\nmode: singleton\nmembers: [a, a]", 'members[1] = "a": is there twice; remove one of them'),
    ("run: srv\nmembers: { A: }", 'members.A: "A" must be a name of a-z, 0-9 and -'),
    ("run: srv\nmembers: { a: { prt: 1 } }", "members.a.prt: unknown key; did you mean port?"),
    ("run: srv\nmembers: { a: { port: 0 } }", 'members.a.port = "0": must be a whole number from 1 to 65535'),
    (
        "run: srv\nmembers: { a: { vars: { port: 1 } } }",
        'members.a.vars: "port" must be a new variable\'s name',
    ),
    (
        "run: srv\nport: 8081-",
        'port = "8081-": must be a port from 1 to 65535, or the first of several, such as 8081+',
    ),
    ("run: srv\nmode: singleton\nmembers: 2\nport: 65535+", "port: counts up past 65535 for member web-2"),
    ("run: srv\nhost: 'a b'", 'host = "a b": must be a host name or an IP address'),
    # traffic
    ("run: srv\ntraffic: { listen: 80 }", "traffic: needs a port for web-1; write port: 8081 for one member"),
    ("run: srv\nport: 1\ntraffic: {}", "traffic: needs the key listen: host:port for clients"),
    ("run: srv\nport: 1\ntraffic:", "traffic: needs the key listen: host:port for clients"),
    (
        "run: srv\nport: 1\ntraffic: { listen: ':80' }",
        'traffic.listen = ":80": must be host:port, with a host name or',
    ),
    (
        "run: srv\nport: 1\ntraffic: { listen: 'a:0' }",
        'traffic.listen = "a:0": must have a port from 1 to 65535',
    ),
    # between services
    ("run: srv\ndepends_on: db", 'depends_on = "db": must be a list; write depends_on: [db]'),
    ("run: srv\ndepends_on: [db]", "depends_on[0]: there is no service db; known: web"),
    ("run: srv\ndepends_on: [web]", "depends_on[0]: a service cannot depend on itself; remove it"),
    (
        "run: srv\nmode: active-active\nmembers: 2\nport: 8081",
        "members.web-2.port: member web-2 of web and member web-1 of web (line 6) both listen on 127.0.0.1:8081; for one",
    ),
    (
        "run: srv\nport: 8081\ntraffic: { listen: '*:8081' }",
        "member web-1 of web and traffic of web (line 6) both listen on 127.0.0.1:8081",
    ),
]


@pytest.mark.parametrize(("lines", "wanted"), MISTAKES)
def test_one_mistake_earns_one_line_that_says_what_is_allowed(lines: str, wanted: str) -> None:
    (line,) = service_problems(lines)
    assert wanted in line


def test_every_problem_begins_with_file_line_and_column() -> None:
    lines = problems("""\
        system: shop
        services:
          orders-db:
            run: postgres
            restart:
              window: 2
        """)
    assert lines == [
        (
            'holdfast.yaml:6:15: services.orders-db.restart.window = "2": '
            "must be a duration such as 500ms, 2s or 5m; write window: 2s"
        )
    ]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    lines = problems("""\
        system: Shop
        treshold: 0.5
        services:
          web:
            run: { comand: srv, stop: { grace: 5 } }
            probes: { a: { http: /, every: x, fall: 0 }, b: {} }
            restart: { window: 2, max: x }
            depends_on: [bd]
          db:
            depends_on: [web]
            members: { x: { port: 99999 } }
          haproxy: { run: srv }
        haproxy: { stats: 8404x }
        control: { group: nosuch }
        """)
    assert [int(line.split(":")[1]) for line in lines] == [
        1,
        2,
        5,
        5,
        6,
        6,
        6,
        6,
        7,
        7,
        8,
        10,
        11,
        12,
        13,
        14,
    ]


def test_a_circle_of_dependencies_is_named_once() -> None:
    (line,) = problems("""\
        system: shop
        services:
          web: { run: a, depends_on: [app] }
          app: { run: b, depends_on: [db] }
          db: { run: c, depends_on: [web] }
          mail: { run: d, depends_on: [web] }
        """)
    assert (
        "services.web.depends_on: goes in a circle: web -> app -> db -> web; none of them could ever" in line
    )


def test_every_circle_is_named() -> None:
    lines = problems("""\
        system: shop
        services:
          a: { run: a, depends_on: [b] }
          b: { run: b, depends_on: [a] }
          c: { run: c, depends_on: [d] }
          d: { run: d, depends_on: [c] }
        """)
    assert [line.split(": ")[2] for line in lines] == ["goes in a circle"] * 2


def test_a_service_with_mistakes_is_still_a_service_that_others_may_depend_on() -> None:
    lines = problems("""\
        system: shop
        services:
          web: { run: a, depends_on: [db] }
          db: { run: [] }
        """)
    assert len(lines) == 1


def test_what_members_inherit_is_wrong_once_and_not_once_for_each_member() -> None:
    assert len(service_problems("mode: singleton\nmembers: 9\nrun: srv {x}\nprobes: { a: { tcp: x } }")) == 2


def test_a_variable_that_only_some_members_have_is_missing_for_the_others() -> None:
    lines = service_problems("mode: singleton\nmembers: { a: { vars: { x: 1 } }, b: }\nrun: srv {x}")
    assert lines == [
        f'run = "srv {{x}}": there is no variable {{x}}; {KNOWN}; for a brace itself write {{{{ or }}}}'
    ]


def test_what_may_be_secret_is_never_shown() -> None:
    lines = service_problems("""
        run:
          command: srv
          env: { PASSWORD: "zq{xw}kj", OTHER: [zqxwkj], NAME: { from_env: "zqxwkj!" } }
        probes: { a: { tcp: 1, headers: { Authorization: [zqxwkj] } } }
    """)
    assert len(lines) == 4
    assert not [line for line in lines if any(part in line for part in ("zq", "xw", "kj"))]


def test_only_root_may_run_a_program_as_somebody_else() -> None:
    lines = "run: { command: srv, user: www-data, group: secret }"
    assert (
        service_problems(lines, ROOT.__class__(ROOT.users, ALICE.groups, "root", frozenset(), is_root=True))
        == []
    )
    assert service_problems(lines, ALICE) == [
        (
            'run.user = "www-data": only root may run a program as another user; '
            "run holdfast as root, or remove the key to run as alice"
        ),
        (
            'run.group = "secret": only root may run a program as another group; '
            "run holdfast as root, or remove the key to run as alice"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "1:1: the file is empty; begin with system: NAME and services:"),
        (
            "shop",
            '1:1: "shop": must be a mapping with keys such as system, threshold, services, haproxy; begin with',
        ),
        ("- a", "1:1: a list: must be a mapping with keys such as"),
        ("system: shop", "1:1: needs the key services: the services by name; begin with"),
        (
            "system: shop\nservices:",
            "2:10: services = nothing: must be services by name; write, for example, web:",
        ),
        ("system: shop\nservices: []", "2:11: services = a list: must be services by name"),
        (
            "system: shop\nservices: { web: srv }",
            '2:18: services.web = "srv": must be a mapping with keys such as',
        ),
        ("system: shop\nservices: { A: { run: x } }", '2:13: services.A: "A" must be a name'),
        (
            "system: shop\nservices: { haproxy: { run: x } }",
            "2:13: services.haproxy: is the name of holdfast's own",
        ),
        (
            "system: 2026\nservices: { a: { run: x } }",
            '1:9: system = "2026": must be a name of a-z, 0-9 and -',
        ),
        (
            "system: a\nservices: { a: { run: x } }\nhaproxy: { connections_max: 1 }",
            "3:29: haproxy.connections_max",
        ),
        (
            "system: a\nservices: { a: { run: x, port: 8404 } }\nhaproxy: { stats: 8404 }",
            "3:19: haproxy.stats: the page of haproxy and member a-1 of a (line 2) both listen on 127.0.0.1:8404",
        ),
    ],
)
def test_mistakes_outside_of_services(text: str, wanted: str) -> None:
    (line,) = problems(text)
    assert line.startswith(f"holdfast.yaml:{wanted}")


def test_a_problem_is_one_line_whatever_the_names_in_it_hold() -> None:
    lines = problems(
        'system: shop\nservices: { "a\\nb\\e[31m": { run: x }, c: { run: y, depends_on: [zzz] } }'
    )
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_an_error_carries_its_problems_as_values() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text("system: shop\nservices: { web: { run: srv, threshold: 2 } }\n", "a.yaml", accounts=ROOT)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.path) == (2, 41, ("services", "web", "threshold"))
    assert (problem.seen, problem.message, problem.hint) == ('"2"', "must be a number from 0 to 1", "")
