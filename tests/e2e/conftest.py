"""What the end-to-end tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.living import LivingSystem


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LivingSystem]:
    living = LivingSystem(tmp_path)
    try:
        yield living
    finally:
        living.clean_up()
