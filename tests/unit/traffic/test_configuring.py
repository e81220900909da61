"""The rendered configuration, whole, and accepted by HAProxy itself.

Rewrite the golden file with `HOLDFAST_REWRITE=1 pytest tests/unit/traffic`, and review the difference.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.model.policy import Policy
from holdfast.model.value import replace
from holdfast.traffic.carrying import carried
from holdfast.traffic.configuring import (
    digest_of,
    entry,
    named_by,
    parse_map_file,
    render,
    render_map,
)
from tests.unit.traffic.policies import GOLDEN, cache, job, policy, web


def test_the_configuration_is_as_reviewed() -> None:
    text = render(policy())
    if os.environ.get("HOLDFAST_REWRITE"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="no haproxy on this host")
def test_haproxy_accepts_the_configuration_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(render(policy()))
    (tmp_path / "active.map").write_text(render_map(policy(), {}))
    (tmp_path / "servers.state").write_text("1\n")
    command = ["haproxy", "-C", str(tmp_path), "-c", "-f", "haproxy.cfg"]
    check = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, "Configuration file is valid\n", "")


def test_only_services_with_traffic_are_carried() -> None:
    assert [service.name for service in carried(policy())] == ["web", "cache", "spread"]
    assert "job" not in render(policy())


def test_a_change_of_anything_changes_the_digest() -> None:
    digest = digest_of(render(policy()))
    assert len(digest) == 16
    other = replace(policy(), haproxy=replace(policy().haproxy, connections_max=9))
    assert digest_of(render(other)) != digest
    assert digest_of(render(policy())) == digest


def test_lanes_are_never_in_the_configuration() -> None:
    assert "disabled" not in render(policy())


def test_members_that_are_probed_differently_are_only_connected_to() -> None:
    backend = render(policy()).partition("backend spread\n")[2]
    assert "httpchk" not in backend
    assert "tcp-check" not in backend


def test_the_map_names_the_active_member_of_exclusive_services_only() -> None:
    assert render_map(policy(), {"web": "web-1", "cache": "cache-2"}) == "cache cache-2\n"


def test_the_map_names_nobody_who_is_no_member_any_more() -> None:
    assert render_map(policy(), {"cache": "gone"}) == "cache -\n"
    assert render_map(policy(), {"cache": "~cache-1"}) == "cache ~cache-1\n"


def test_the_maps_words_read_back_as_they_were_meant() -> None:
    assert named_by(entry("cache-1", is_in=True)) == "cache-1"
    assert named_by(entry("cache-1", is_in=False)) == "cache-1"
    assert named_by(entry(None, is_in=True)) is None
    assert named_by(None) is None
    assert dict(parse_map_file("cache ~cache-1\n\nbroken\n")) == {"cache": "~cache-1"}


@pytest.mark.parametrize("services", [(web(),), (cache(),), (job(), web())])
def test_what_a_service_needs_does_not_depend_on_its_neighbours(services: tuple[object, ...]) -> None:
    whole = render(policy())
    for section in render(policy(*services)).split("\n\n")[2:]:  # type: ignore[arg-type]
        assert section.strip() in whole


def test_an_empty_policy_renders_too() -> None:
    assert render(Policy(system="empty", services={})).startswith("# Written by holdfast")
