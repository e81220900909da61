"""Seals of packets: only who knows the cluster's key can write one that is opened.

The key that seals is derived from the cluster's secret under a name of its own, so that what is sealed for one
purpose is worth nothing for another. Nothing of a packet is looked at before its seal was checked, so a stranger can
reach no parser. Seals do not hide: a heartbeat holds no secrets.
"""

import hmac

PROTOCOL = b"HFB1"  # heartbeats of holdfast, version 1: the first bytes of each packet
_LABEL = b"holdfast heartbeat 1"
_MAC = 32  # bytes of an HMAC-SHA256
OVERHEAD = len(PROTOCOL) + _MAC


class Seal:
    """Seals packets and checks the seals of others."""

    def __init__(self, secret: bytes) -> None:
        assert secret, "an empty secret would let everybody in"
        self._key = hmac.digest(secret, _LABEL, "sha256")

    def sealed(self, payload: bytes) -> bytes:
        """Return the packet that carries `payload`."""
        return PROTOCOL + self._mac(payload) + payload

    def opened(self, packet: memoryview) -> memoryview | None:
        """Return what the packet carries; None if its seal is not ours."""
        payload = packet[OVERHEAD:]
        if not hmac.compare_digest(packet[len(PROTOCOL) : OVERHEAD], self._mac(payload)):
            return None
        return payload

    def _mac(self, payload: bytes | memoryview) -> bytes:
        return hmac.digest(self._key, payload, "sha256")


def is_of_our_protocol(packet: memoryview) -> bool:
    """Tell whether the packet claims to be a heartbeat of the version that we speak."""
    return packet[: len(PROTOCOL)] == PROTOCOL
