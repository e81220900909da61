"""How long to wait before the next restart: doubling, capped, and jittered so that members do not march in step."""

import zlib

from holdfast.model.ids import ComponentId
from holdfast.model.policy import RestartPolicy
from holdfast.model.time import Duration, Instant


def backoff(policy: RestartPolicy, attempts: int, component: ComponentId, salt: int) -> Duration:
    """Return the wait before the next restart after `attempts` failures in a row. The first is at once."""
    if attempts == 0:
        return 0
    doublings = min(attempts - 1, 40)  # enough to pass any backoff_max; keeps the number small
    wait = min(policy.backoff_min << doublings, policy.backoff_max)
    return wait + round(wait * policy.jitter * _chance(salt, component, attempts))


def _chance(salt: int, component: ComponentId, attempts: int) -> float:
    # Chance is not fetched: it is a function of the agent's salt, so that a turn replays to the same wait.
    return zlib.crc32(f"{salt}:{component}:{attempts}".encode()) / 0xFFFFFFFF


def restarts_left(policy: RestartPolicy, restarted_at: tuple[Instant, ...], now: Instant) -> int:
    """Return how many restarts the budget still allows within its window (Erlang/OTP's intensity).

    A restart exactly `window` ago no longer counts: the window is half-open.
    """
    return policy.restarts_max - sum(now - at < policy.window for at in restarted_at)
