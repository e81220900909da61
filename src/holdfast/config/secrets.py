"""Reading what the file names by its place only: a file, or a variable of the environment in which holdfast was started.

It is read at the moment it is needed, and an error names the place, never the value.
"""

import os
from pathlib import Path

from holdfast.model.policy import SecretFrom


class SecretError(Exception):
    """A secret cannot be read; the text says where it should be, and what to do. Its reader says what it is for."""


def read_secret(place: SecretFrom) -> bytes:
    """Return the secret, without the end of its last line."""
    if place.file is None:
        name = place.env or ""
        try:
            return os.environb[os.fsencode(name)]
        except KeyError:
            hint = "set it where holdfast is started"
            raise SecretError(f"variable {name} is not in holdfast's own environment; {hint}") from None
    try:
        content = Path(place.file).read_bytes()
    except OSError as error:
        hint = "create it, or let the agent's user read it"
        raise SecretError(f"secret file {place.file} cannot be read ({error.strerror}); {hint}") from error
    return content.removesuffix(b"\n").removesuffix(b"\r")
