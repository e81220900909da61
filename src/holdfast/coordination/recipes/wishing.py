"""An operator's wish as it stands in the coordinator: signed by an agent, which has asked the operator who he is."""

import msgspec

from holdfast.coordination.recipes.signing import Seal
from holdfast.coordination.recipes.values import NotUnderstoodError, decoded, encoded
from holdfast.model.cluster import OperatorWish
from holdfast.model.value import Value

LABEL = "holdfast wish 1"


class SignedWish(Value, frozen=True):
    """The wish as text, exactly as it was signed."""

    text: str
    mac: str


def written_wish(wish: OperatorWish, seal: Seal) -> bytes:
    """Return what to write for a wish."""
    text = msgspec.json.encode(wish).decode()
    return encoded(SignedWish(text, seal.sign(text)))


def wish_in(value: bytes, seal: Seal) -> OperatorWish:
    """Return the wish that stands there; NotUnderstoodError if it is none, or not signed by who knows the secret."""
    signed = decoded(value, SignedWish)
    if not seal.is_genuine(signed.mac, signed.text):
        raise NotUnderstoodError("its signature is false")
    return decoded(signed.text.encode(), OperatorWish)
