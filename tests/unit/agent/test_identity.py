from typing import Any

import pytest

from holdfast.agent.access import Access
from holdfast.agent.identity import Identity, identity_of


def certificate(*uris: str, name: str = "ann") -> dict[str, Any]:
    return {
        "subject": ((("organizationName", "holdfast"),), (("commonName", name),)),
        "subjectAltName": (("DNS", "holdfast:access/admin"), *(("URI", uri) for uri in uris)),
    }


@pytest.mark.parametrize(
    ("uris", "identity"),
    [
        (("holdfast:access/view",), Identity("ann", Access.VIEW)),
        (("holdfast:access/admin", "https://example.org"), Identity("ann", Access.ADMIN)),
        (("holdfast:host/h1",), Identity("h1", host="h1")),
        ((), Identity("ann")),
        (("holdfast:access/root",), Identity("ann")),
        (("holdfast:access/view", "holdfast:access/admin"), Identity("ann")),  # which one is meant?
        (("holdfast:host/h1", "holdfast:access/admin"), Identity("ann")),
        (("holdfast:access/admin\nx",), Identity("ann")),
        (("HOLDFAST:access/admin",), Identity("ann")),
        (("holdfast:host/",), Identity("ann")),
        (("holdfast:host/../h1",), Identity("ann")),
    ],
)
def test_exactly_one_name_of_ours_says_who_it_is(uris: tuple[str, ...], identity: Identity) -> None:
    assert identity_of(certificate(*uris)) == identity


@pytest.mark.parametrize("name", ["", "ann\x1b[2J", "x" * 65, "ann bob", "-ann"])
def test_name_that_cannot_be_shown_gives_no_access(name: str) -> None:
    assert identity_of(certificate("holdfast:access/admin", name=name)) == Identity()


def test_empty_certificate_is_nobody() -> None:
    assert identity_of({}) == Identity()
