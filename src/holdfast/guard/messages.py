"""What agent and guard say to each other: one JSON object per packet, each request answered by one.

    {"v": 1, "do": "arm", "component": "db/a", "facts": {...}, "deadline": 123}    -> {"v": 1, "ok": true}
    {"v": 1, "do": "extend", "deadlines": {"db/a": 123}}                           -> {"v": 1, "ok": true, "refused": {}}
    {"v": 1, "do": "disarm", "component": "db/a"}                                  -> {"v": 1, "ok": true}
    {"v": 1, "do": "leave"}                                                        -> {"v": 1, "ok": true}
    {"v": 1, "do": "ask"}                                                          -> {"v": 1, "ok": true, "armed": {...}, ...}
    anything else                                                                  -> {"v": 1, "ok": false, "error": "..."}

Deadlines are nanoseconds on CLOCK_BOOTTIME of this host. A request is read whole before anything is done: one that is
malformed anywhere changes nothing.
"""

import json

from holdfast.guard.facts import Facts, text, whole

VERSION = 1
SOCKET = "guard.sock"  # in the agent's state directory
MESSAGE_MAX = 65536  # bytes
NAME_MAX = 255  # characters


class Arm:
    """Give a component a deadline."""

    __slots__ = ("component", "deadline", "facts")

    def __init__(self, component: str, facts: Facts, deadline: int) -> None:
        self.component = component
        self.facts = facts
        self.deadline = deadline


class Extend:
    """Move deadlines away."""

    __slots__ = ("deadlines",)

    def __init__(self, deadlines: dict[str, int]) -> None:
        self.deadlines = deadlines


class Disarm:
    """Forget a component: it is no primary any more."""

    __slots__ = ("component",)

    def __init__(self, component: str) -> None:
        self.component = component


class Ask:
    """Tell how it is."""


class Leave:
    """Leave once nothing is armed: the agent that started it has stopped everything."""


Request = Arm | Extend | Disarm | Leave | Ask


def decode(packet: bytes) -> Request:
    """Return the request in `packet`; ValueError says what is wrong with it."""
    if len(packet) > MESSAGE_MAX:
        raise ValueError(f"a request has at most {MESSAGE_MAX} bytes")
    try:
        said = json.loads(packet)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(said, dict):
        raise ValueError("a request is an object")  # noqa: TRY004 - ValueError is this function's one answer
    if said.get("v") != VERSION:
        raise ValueError(f"this guard speaks version {VERSION}, not {said.get('v')!r}")
    match said:
        case {"do": "arm", "component": component, "facts": facts, "deadline": deadline} if len(said) == 5:
            return Arm(_name(component), Facts.from_json(facts), whole(deadline, "deadline"))
        case {"do": "extend", "deadlines": dict(deadlines)} if len(said) == 3:
            return Extend({_name(name): whole(deadline, "deadlines") for name, deadline in deadlines.items()})
        case {"do": "disarm", "component": component} if len(said) == 3:
            return Disarm(_name(component))
        case {"do": "leave"} if len(said) == 2:
            return Leave()
        case {"do": "ask"} if len(said) == 2:
            return Ask()
    raise ValueError("no request that this guard knows")


def encode(request: Request) -> bytes:
    """Return the packet that carries `request`."""
    match request:
        case Arm():
            said = {"do": "arm", "component": request.component, "facts": request.facts.as_json()}
            return pack(said | {"deadline": request.deadline})
        case Extend():
            return pack({"do": "extend", "deadlines": request.deadlines})
        case Disarm():
            return pack({"do": "disarm", "component": request.component})
        case Leave():
            return pack({"do": "leave"})
        case Ask():
            return pack({"do": "ask"})


def pack(said: dict[str, object]) -> bytes:
    """Return `said` as a packet of this version."""
    return json.dumps({"v": VERSION, **said}, separators=(",", ":")).encode("ascii")


def refusal(error: str) -> bytes:
    """Return the answer that refuses."""
    return pack({"ok": False, "error": error})


def _name(value: object) -> str:
    name = text(value, "component")
    if not 3 <= len(name) <= NAME_MAX or name.count("/") != 1 or not all(name.split("/")):
        raise ValueError("a component is named SERVICE/MEMBER")
    return name
