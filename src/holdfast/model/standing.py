"""How a member stands: its status, and the role that it has."""

from enum import StrEnum


class Status(StrEnum):
    """How a component is, as seen by its host's agent."""

    UNKNOWN = "unknown"  # not looked at yet, or still starting
    UP = "up"
    SUSPECT = "suspect"  # a doubt: the last answer contradicts the verdict
    DOWN = "down"
    DRAINING = "draining"  # up, but takes no new work
    STOPPED = "stopped"  # not running, and not meant to


class Role(StrEnum):
    """What a member of an exclusive service may do."""

    STANDBY = "standby"
    PROMOTING = "promoting"
    PRIMARY = "primary"
    FENCED = "fenced"
