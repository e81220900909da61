"""Keeping secrets out of what is shown of a program's output.

A fence agent may print what it was told: in a complaint about its options, or all of it when it is verbose. It may
print it quoted, so the usual spellings are blotted out too. What an agent encrypts or hashes is beyond us.
"""

import base64
import html
import os
import re
import shlex
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

SHOWN_MAX = 600  # characters
_LINES = 5
_SHORT = 4  # a shorter "secret" would blot out half of every message, and is none

# Options that are secret even where the file has them as they are.
_SECRET_NAMES = re.compile(r"pass(?!word_script|wd_script)|secret|token|credential|api[_-]?key", re.ASCII)


def is_secret(option: str) -> bool:
    """Tell whether what an option of this name is set to should not be shown."""
    return _SECRET_NAMES.search(option) is not None


def spellings(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return how the secrets may stand in an output, the longest first."""
    found = set()
    for secret in secrets:
        if len(secret.strip()) < _SHORT:
            continue
        raw = os.fsencode(secret)
        found |= {raw, raw.strip(), base64.b64encode(raw), os.fsencode(html.escape(secret))}
        found |= {os.fsencode(text) for text in (repr(secret)[1:-1], shlex.quote(secret))}
        found |= {spell(raw).encode() for spell in (quote, quote_plus)}
    return tuple(sorted(found, key=len, reverse=True))


def shown(output: bytes, hidden: tuple[bytes, ...]) -> str:
    """Return the last few lines of an output in one, printable, bounded; `hidden` is blotted out."""
    for secret in hidden:
        output = output.replace(secret, b"***")
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    text = " | ".join(lines[-_LINES:])
    return "".join(char if char.isprintable() else " " for char in text)[-SHOWN_MAX:]
