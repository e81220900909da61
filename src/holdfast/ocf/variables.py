"""The environment of an agent's action: OCF 1.1, and what Pacemaker passes beyond it and agents came to rely on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.config.resource_agents import ocf_root
from holdfast.model.policy import OcfAgent, SecretFrom
from holdfast.model.time import MILLISECOND, Duration
from holdfast.model.value import Value
from holdfast.ocf.attributes import PROMOTED, UNPROMOTED
from holdfast.ocf.outcomes import REASON

STAND_INS = Path(__file__).parent / "stand_ins"
FEATURES = "3.16.1"  # of Pacemaker 2.1.5, whose programs we stand in for
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Whereabouts(Value, frozen=True):
    """Who an agent's component is, among its peers."""

    resource: str  # its name, the same on every host that it has peers on
    host: str  # this host, by the name that agents know it by
    hosts: tuple[str, ...]  # all that may run it, this one included


class Notice(Value, frozen=True):
    """What the peers of a component are told: what is about to be done to one of them, or was just done."""

    kind: str  # pre, post
    operation: str  # start, stop, promote, demote
    host: str  # of whom it is done to
    promoted: tuple[str, ...]  # hosts on which it ran as primary before the operation
    unpromoted: tuple[str, ...]  # and as standby


def of_action(
    agent: OcfAgent,
    where: Whereabouts,
    action: str,
    *,
    timeout: Duration,
    interval: Duration = 0,
    role: str = "",
) -> dict[str, str | SecretFrom]:
    """Return the variables of one action. `interval` is 0 for a first look: some agents set scores only then."""
    provider, _, name = agent.provider_agent.partition(":")
    variables: dict[str, str | SecretFrom] = {
        f"OCF_RESKEY_{parameter}": value for parameter, value in agent.parameters.items()
    }
    variables |= {
        "OCF_ROOT": str(ocf_root()),
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_EXIT_REASON_PREFIX": REASON,
        "OCF_OUTPUT_FORMAT": "text",
        "OCF_RESOURCE_INSTANCE": where.resource,
        "OCF_RESOURCE_PROVIDER": provider,
        "OCF_RESOURCE_TYPE": name,
        "OCF_RESKEY_crm_feature_set": FEATURES,
        "PATH": f"{STAND_INS}:{_PATH}",
        "HA_SBIN_DIR": str(STAND_INS),
        "SHELL": "/bin/bash",
        "LC_ALL": "C",
        "LANG": "C",
    }
    meta = {"name": action, "timeout": str(timeout // MILLISECOND), "on_node": where.host}
    meta |= {"on_node_uuid": where.host, "interval": str(interval // MILLISECOND)}
    if role:
        meta["role"] = role
    if agent.is_promotable:
        meta |= _of_clone(where)
    return variables | {f"OCF_RESKEY_CRM_meta_{key}": value for key, value in meta.items()}


def of_notice(notice: Notice, where: Whereabouts) -> dict[str, str]:
    """Return the variables that say what is done to whom. An empty list is one space: agents compare with that."""
    active = (*notice.promoted, *notice.unpromoted)
    lists: dict[str, Sequence[str]] = {
        operation: (notice.host,) if operation == notice.operation else ()
        for operation in ("start", "stop", "promote", "demote")
    }
    lists |= {"active": active, "inactive": tuple(host for host in where.hosts if host not in active)}
    lists |= {"master": notice.promoted, "promoted": notice.promoted}
    lists |= {"slave": notice.unpromoted, "unpromoted": notice.unpromoted}
    said = {
        "notify_type": notice.kind,
        "notify_operation": notice.operation,
        "notify_key_type": notice.kind,
        "notify_key_operation": notice.operation,
        "notify_all_uname": " ".join(where.hosts),
        "notify_available_uname": " ".join(where.hosts),
    }
    for name, hosts in lists.items():
        said[f"notify_{name}_uname"] = " ".join(hosts) or " "
        said[f"notify_{name}_resource"] = " ".join(_instances(where, hosts)) or " "
    return {f"OCF_RESKEY_CRM_meta_{key}": value for key, value in said.items()}


def roles_before(roles: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the hosts with the primary and those with standbys."""
    promoted = tuple(host for host, role in roles.items() if role == PROMOTED)
    return promoted, tuple(host for host, role in roles.items() if role == UNPROMOTED)


def _of_clone(where: Whereabouts) -> dict[str, str]:
    count = str(len(where.hosts))
    meta = {"clone": str(where.hosts.index(where.host)) if where.host in where.hosts else "0"}
    meta |= {"clone_max": count, "clone_node_max": "1", "globally_unique": "false", "notify": "true"}
    meta |= {"promotable": "true", "promoted_max": "1", "promoted_node_max": "1"}
    return meta | {"master_max": "1", "master_node_max": "1"}  # the older names, which older agents look for


def _instances(where: Whereabouts, hosts: Sequence[str]) -> list[str]:
    return [f"{where.resource}:{where.hosts.index(host)}" for host in hosts if host in where.hosts]
