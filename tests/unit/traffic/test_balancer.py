"""HAProxy as a service of the system."""

from pathlib import Path

import pytest

from holdfast.model.policy import HttpCheck, Mode, Purpose, ServicePolicy
from holdfast.model.value import replace
from holdfast.traffic.balancer import with_balancer
from tests.unit.traffic.policies import job, policy

HERE = Path("/srv/shop")


def test_haproxy_comes_first_so_that_it_stops_last() -> None:
    added = with_balancer(policy(), HERE)
    assert list(added.services) == ["haproxy", "web", "cache", "spread", "job"]
    service = added.services["haproxy"]
    assert service.is_builtin
    assert service.mode is Mode.SINGLETON
    assert service.traffic is None
    command = "haproxy -C /srv/shop/haproxy -W -db -f haproxy.cfg -S unix@master.sock,mode,600,level,admin"
    assert service.members[0].run.command == tuple(command.split())
    assert service.members[0].run.stop_signal == "USR1"


def test_haproxy_is_not_there_without_traffic() -> None:
    assert with_balancer(policy(job()), HERE) == policy(job())
    assert with_balancer(with_balancer(policy(), HERE), HERE) == with_balancer(policy(), HERE)
    without = replace(with_balancer(policy(), HERE), services={"job": job()})
    assert list(with_balancer(without, HERE).services) == ["job"]


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1:8404", "127.0.0.1"),
        ("*:8404", "127.0.0.1"),
        ("0.0.0.0:8404", "127.0.0.1"),
        ("[::1]:8404", "::1"),
    ],
)
def test_haproxy_is_probed_where_its_page_is(listen: str, host: str) -> None:
    paged = replace(policy(), haproxy=replace(policy().haproxy, stats_listen=listen))
    (probe,) = with_balancer(paged, HERE).services["haproxy"].members[0].probes
    assert probe.purpose is Purpose.LIVENESS
    assert probe.check == HttpCheck(host, 8404, "/alive")


def test_haproxy_is_not_probed_without_a_page() -> None:
    plain = replace(policy(), haproxy=replace(policy().haproxy, stats_listen=None))
    assert with_balancer(plain, HERE).services["haproxy"].members[0].probes == ()


def test_a_users_own_service_of_that_name_is_refused() -> None:
    own = ServicePolicy("haproxy", Mode.SINGLETON, job().members)
    with pytest.raises(ValueError, match="may not be called 'haproxy'"):
        with_balancer(policy(own), HERE)
