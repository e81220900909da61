"""Signatures: what stands in the coordinator and is obeyed comes from who knows the cluster's secret.

Whoever can write to the coordinator could otherwise have commands of his own run on every host. The secret itself is never
used twice: each purpose has a key of its own, derived from it by a label. A signature also covers the system's name, so that
what was signed for one system is worth nothing in another one of the same secret.
"""

import hashlib
import hmac

import msgspec


class Seal:
    """Signs for one purpose in one system, by HMAC-SHA256."""

    def __init__(self, secret: bytes, label: str, system: str) -> None:
        assert secret, "no secret"
        self._key = hmac.digest(secret, label.encode(), hashlib.sha256)
        self._system = system

    def sign(self, *parts: str | int) -> str:
        """Return the signature of these parts, in hexadecimal digits."""
        # As a JSON list: where one part ends and the next begins is signed as well.
        return hmac.digest(self._key, msgspec.json.encode([self._system, *parts]), hashlib.sha256).hex()

    def is_genuine(self, mac: str, *parts: str | int) -> bool:
        """Tell whether this is the signature of these parts."""
        return hmac.compare_digest(self.sign(*parts).encode(), mac.encode())
