"""Each story file is played again and must end as it is written."""

from pathlib import Path

import pytest

from tests.scenario.playing_stories import play, stories


@pytest.mark.parametrize("path", stories(), ids=lambda path: path.stem)
def test_the_story_goes_as_it_is_told(path: Path, rewrites_stories: bool) -> None:
    told = path.read_text("utf-8")
    goes = play(told)
    if rewrites_stories:
        path.write_text(goes, "utf-8")
    assert goes == told or rewrites_stories


def test_there_are_enough_stories_to_read() -> None:
    assert len(stories()) >= 12
