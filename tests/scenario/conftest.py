"""The flag that rewrites the stories' answers."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-stories",
        action="store_true",
        help="write today's answers into the story files; review the diff",
    )


@pytest.fixture
def rewrites_stories(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-stories", default=False)) or bool(
        os.environ.get("REWRITE_STORIES")
    )
