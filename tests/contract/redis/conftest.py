"""The servers of a test end with it."""

from collections.abc import Iterator

import pytest

from tests.contract.redis.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    try:
        yield made
    finally:
        made.close()
