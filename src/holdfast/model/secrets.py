"""Secrets stay references: they are read when they are needed, and never enter state or journal."""

from holdfast.model.value import Value


class SecretFrom(Value, frozen=True):
    """A secret's place. Exactly one field is set."""

    file: str | None = None  # absolute path; the content without its last line end
    env: str | None = None  # name of a variable of the agent's own environment
