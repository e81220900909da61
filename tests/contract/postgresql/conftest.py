"""The data that all tests copy is removed when they are done."""

import shutil
from collections.abc import Iterator

import pytest

from tests.contract.postgresql import stage


@pytest.fixture(scope="session", autouse=True)
def _template_is_removed() -> Iterator[None]:
    yield
    if stage.template.cache_info().currsize:
        shutil.rmtree(stage.template())
