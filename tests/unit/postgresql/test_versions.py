"""What differs between PostgreSQL 13 and 17 is chosen by the version of the data, wherever it is that the tests run."""

from pathlib import Path

import pytest

from holdfast.postgresql.clients import write_clients
from holdfast.postgresql.instance import CLIENTS, Instance
from tests.contract.postgresql.stage import owner

USERS = "host all all 10.9.8.0/24 scram-sha-256\n"


def instance_of(folder: Path, version: str) -> Instance:
    (folder / "PG_VERSION").write_text(f"{version}\n")
    (folder / "postgresql.conf").write_text("")
    (folder / "pg_hba.conf").write_text(USERS)
    return Instance("a", str(folder), "/nonexistent", 5432, user=owner())


@pytest.mark.parametrize("version", ["13", "14", "15"])
def test_users_lines_are_copied_before_they_can_be_included_and_copied_again(
    tmp_path: Path, version: str
) -> None:
    instance = instance_of(tmp_path, version)
    assert write_clients(instance, ("10.0.0.2",))
    assert (tmp_path / CLIENTS).read_text().endswith(USERS)
    assert not write_clients(instance, ("10.0.0.2",))
    (tmp_path / "pg_hba.conf").write_text(USERS * 2)
    assert write_clients(instance, ("10.0.0.2",))
    assert (tmp_path / CLIENTS).read_text().endswith(USERS * 2)


@pytest.mark.parametrize("version", ["16", "17"])
def test_users_lines_are_included_where_that_can_be_done(tmp_path: Path, version: str) -> None:
    instance = instance_of(tmp_path, version)
    assert write_clients(instance, ("10.0.0.2",))
    text = (tmp_path / CLIENTS).read_text()
    assert text.endswith(f'include_if_exists "{tmp_path / "pg_hba.conf"}"\n')
    assert USERS not in text
