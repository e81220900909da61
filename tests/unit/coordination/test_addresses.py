"""What an operator may write as the address of a coordinator, and what is said about everything else."""

import sys
from pathlib import Path

import pytest

from holdfast.coordination.address import AddressError, connect, parsed
from holdfast.coordination.embedded import EmbeddedCoordinator


def test_hosts_prefix_and_options_are_read() -> None:
    address = parsed("zookeeper://zk1:2181,10.0.0.2,[fd00::1]:99/shop/main?user=u&password=p%26q")
    assert address.hosts == (("zk1", 2181), ("10.0.0.2", 2181), ("[fd00::1]", 99))
    assert address.prefix == "/shop/main"
    assert address.options == {"user": "u", "password": "p&q"}
    assert not address.has_tls


def test_without_a_path_the_keys_are_below_holdfast() -> None:
    assert parsed("etcd://e1").prefix == "/holdfast"
    assert parsed("etcd://e1/").prefix == "/holdfast"


@pytest.mark.parametrize("url", ["etcds://e1", "etcd://e1?tls=yes", "zookeeper://z?ca=/ca.pem"])
def test_tls_is_on_by_scheme_by_option_and_by_its_files(url: str) -> None:
    assert parsed(url).has_tls


def test_each_scheme_has_its_driver(tmp_path: Path) -> None:
    assert isinstance(connect(f"embedded://{tmp_path}/store"), EmbeddedCoordinator)
    for url, kind in (("zookeeper://z", "ZooKeeperCoordinator"), ("etcds://e", "EtcdCoordinator")):
        assert type(connect(url)).__name__ == kind


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://r", "must begin with one of embedded://, zookeeper://, etcd://, etcds://"),
        ("", "must begin with"),
        ("zookeeper://", "'' is no host"),
        ("zookeeper://z:nine", "'z:nine' is no host; write name:port"),
        ("zookeeper://z:99999", "'z:99999' is no host"),
        ("zookeeper://u:secret@z", "write the user as ?user=...&password_file=..."),
        ("zookeeper://z/zookeeper/quota", "/zookeeper belongs to ZooKeeper itself"),
        ("etcd://e/Shop", "'/Shop' is no key"),
        ("etcd://e?colour=red", "unknown option 'colour'; allowed are user, password"),
        ("etcd://e?user=u", "user and password (or password_file) belong together"),
        ("etcd://e?cert=/c.pem", "cert and key belong together"),
        ("etcd://e?tls=maybe", "tls = 'maybe': must be yes or no"),
        ("etcds://e?tls=no", "tls=no contradicts"),
        ("etcd://e?timeout=soon", "'soon' is not a duration"),
        ("etcd://e?timeout=1ms", "timeout = '1ms': must be 50ms to 1m"),
        ("etcd://e?ca=/nowhere/ca.pem", "cannot use ca=/nowhere/ca.pem"),
        ("etcd://e?user=u&password_file=/nowhere/p", "cannot read password_file '/nowhere/p'"),
        ("embedded://store", "with three slashes: embedded:///var/lib/holdfast/store"),
        ("embedded:///store?ttl=3", "embedded has no options"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(url: str, said: str) -> None:
    with pytest.raises(AddressError) as caught:
        connect(url)
    assert said in str(caught.value)


def test_no_error_shows_a_password() -> None:
    for url in ("etcd://u:secret@e", "etcd://e?user=u&password=secret&colour=red"):
        with pytest.raises(AddressError) as caught:
            connect(url)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package", "extra"), [("etcd://e", "aiohttp", "etcd"), ("zookeeper://z", "kazoo", "zookeeper")]
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    url: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == package or name.startswith(f"holdfast.coordination.{extra}"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # the import system then says that there is none
    with pytest.raises(AddressError) as caught:
        connect(url)
    assert f"pip install 'holdfast[{extra}]'" in str(caught.value)
    assert repr(package) in str(caught.value)
