"""The roles under which members reach each other, on a primary that was not made by us: its data came from outside.

Passwords follow from the cluster's key. What a server keeps of one is compared, so nothing is written where all is right.
"""

import base64
import binascii
import hashlib
import hmac

from holdfast.model.time import SECOND, Duration
from holdfast.postgresql.asking import ASK_WITHIN, local
from holdfast.postgresql.bootstrap import Passwords, statements
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.instance import Instance

_WITHIN: Duration = 5 * SECOND
_KEPT = "select rolname, coalesce(rolpassword, '') from pg_authid where rolname = any($1::text[])"
# Standbys cannot acknowledge it: they are let in by it. And passwords do not belong into a log.
_OPTIONS = (
    "-c synchronous_commit=local -c default_transaction_read_only=off -c password_encryption=scram-sha-256 "
    "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic"
)


async def keep_roles(instance: Instance, passwords: Passwords) -> bool:
    """Make our roles where the primary has them not, or with other passwords; tell whether that was so. Unanswered."""
    wanted = {instance.replicator: passwords.replicator, instance.rewinder: passwords.rewinder}
    names = "{" + ",".join(sorted(wanted)) + "}"
    (rows,) = await ask(local(instance, ASK_WITHIN), (_KEPT, (names,)), within=ASK_WITHIN)
    kept = {name or "": verifier or "" for name, verifier in rows}
    if all(is_verifier_of(kept.get(name, ""), password) for name, password in wanted.items()):
        return False
    target = local(instance, _WITHIN, options=_OPTIONS)
    await ask(target, *statements(instance, passwords), within=_WITHIN)
    return True


def is_verifier_of(verifier: str, password: str) -> bool:
    """Tell whether `verifier` is what PostgreSQL keeps of `password`, by SCRAM-SHA-256 (RFC 5803)."""
    try:
        kind, salting, keys = verifier.split("$")
        times, salt = salting.split(":")
        stored = base64.b64decode(keys.split(":")[0], validate=True)
        salted = hashlib.pbkdf2_hmac(
            "sha256", password.encode(), base64.b64decode(salt, validate=True), int(times)
        )
    except (ValueError, binascii.Error):
        return False
    client = hmac.digest(salted, b"Client Key", "sha256")
    return kind == "SCRAM-SHA-256" and hmac.compare_digest(hashlib.sha256(client).digest(), stored)
