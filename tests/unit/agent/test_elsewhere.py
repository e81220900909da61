from holdfast.agent.elsewhere import elsewhere_hint
from holdfast.model.policy import MemberPolicy, Mode, Policy, ProcessSpec, ServicePolicy

RUN = ProcessSpec(("/bin/true",))
POLICY = Policy(
    "orders",
    {
        "db": ServicePolicy(
            "db",
            Mode.ACTIVE_STANDBY,
            (MemberPolicy("db-1", RUN, on="h1"),),
            elsewhere=(MemberPolicy("db-2", RUN, on="h2"), MemberPolicy("db-3", RUN)),
        )
    },
)


def test_component_of_another_host_is_told_with_what_to_type() -> None:
    assert elsewhere_hint(POLICY, "db/db-2") == "db/db-2 runs on h2: ask there, with `holdfast --host h2 ...`"


def test_movable_one_is_where_the_leader_placed_it() -> None:
    assert "runs on h3" in elsewhere_hint(POLICY, "db/db-3", {"db-3": "h3"})
    assert "runs on no host" in elsewhere_hint(POLICY, "db/db-3")


def test_one_of_this_host_or_of_none_is_not_elsewhere() -> None:
    for component in ("db/db-1", "db/db-9", "web/web-1", "db"):
        assert not elsewhere_hint(POLICY, component)
