"""Telling whether a running process still runs what the file says."""

import hashlib

import msgspec

from holdfast.model.policy import ProcessSpec


def run_digest(spec: ProcessSpec) -> str:
    """Return a short digest of what only a restart can change: command, environment, user, group, directory.

    Hooks, signals and grace periods are left out: they are read when needed.
    """
    basis = (spec.command, sorted(spec.env.items()), spec.user, spec.group, spec.directory)
    return hashlib.sha256(msgspec.json.encode(basis)).hexdigest()[:16]
