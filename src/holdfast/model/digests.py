"""Telling whether a running process still runs what the file says."""

import hashlib

import msgspec

from holdfast.model.policy import OcfAgent, ProcessSpec
from holdfast.model.postgresql import PostgresServer
from holdfast.model.redis import RedisServer


def run_digest(spec: ProcessSpec) -> str:
    """Return a short digest of what only a restart can change: command, environment, user, group, directory.

    Of what a resource agent manages: the agent and its parameters. Hooks, signals, timeouts and grace periods are left out:
    they are read when needed.
    """
    if isinstance(spec.managed, PostgresServer):  # parameters are read again by a server that runs
        server = spec.managed
        place = (server.data, server.programs, server.user, server.superuser, server.host, server.port)
        return hashlib.sha256(msgspec.json.encode(place)).hexdigest()[:16]
    if isinstance(spec.managed, RedisServer):  # all that is written into its redis.conf
        asked = redis_settings(spec.managed)
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:16]
    basis: tuple[object, ...] = (
        spec.command,
        sorted(spec.env.items()),
        spec.user,
        spec.group,
        spec.directory,
    )
    if isinstance(spec.managed, OcfAgent):  # so that what runs now keeps its digest
        basis = (*basis, spec.managed.provider_agent, sorted(spec.managed.parameters.items()))
    return hashlib.sha256(msgspec.json.encode(basis)).hexdigest()[:16]


def redis_settings(server: RedisServer) -> dict[str, object]:
    """Return what only a restart can change of a Redis server, by field."""
    names = ("data", "program", "user", "include", "parameters", "password", "host", "port")
    limits = ("min_replicas_to_write", "min_replicas_max_lag")
    return {name: getattr(server, name) for name in (*names, *limits)}
