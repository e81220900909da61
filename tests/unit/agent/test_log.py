import io
import json
import os
import threading
import time

from holdfast.agent.log import Format, Level, Line, Log, render

WALL = 1_700_000_000_490_000_000


def test_line_has_time_level_subject_word_reason_and_incident() -> None:
    line = Line(Level.ERROR, "web/web-1", "down", "its process exited with 3", "i-7")
    clock = time.strftime("%H:%M:%S", time.localtime(1_700_000_000))
    assert render(line, WALL, Format.TEXT).split(maxsplit=4) == [
        f"{clock}.490",
        "ERROR",
        "web/web-1",
        "down",
        render(line, WALL, Format.TEXT).split(maxsplit=4)[4],
    ]
    assert render(line, WALL, Format.TEXT).endswith(" incident=i-7")


def test_json_line_is_one_object_with_utc_time() -> None:
    line = Line(Level.INFO, "agent", "started", "two\nlines")
    assert json.loads(render(line, WALL, Format.JSON)) == {
        "at": "2023-11-14T22:13:20.490Z",
        "level": "INFO",
        "subject": "agent",
        "word": "started",
        "text": "two\nlines",
    }


def test_output_of_components_can_neither_forge_a_line_nor_steer_the_terminal() -> None:
    text = render(Line(Level.INFO, "a/b", "down", "x\n12:00 ERROR\x1b[2J\u2028y"), WALL, Format.TEXT)
    assert text.isprintable()


def test_reader_that_does_not_read_never_makes_the_speaker_wait() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as out, os.fdopen(writing, "w", encoding="utf-8") as into:
        log = Log(0, to=into)
        for number in range(20_000):  # far more than a pipe holds: it would wait for ever
            log.say(number, Line(Level.INFO, "agent", "word", "x" * 200))
        got: list[str] = []
        reader = threading.Thread(target=lambda: got.extend(out), daemon=True)
        reader.start()
        log.close()
        into.close()
        reader.join(30)
    assert any("lines of this log were lost" in line for line in got)


def test_closing_writes_what_waits() -> None:
    out = io.StringIO()
    log = Log(0, to=out)
    log.say(0, *(Line(Level.INFO, "agent", "word", str(number)) for number in range(500)))
    log.close()
    assert len(out.getvalue().splitlines()) == 500
