from holdfast.agent.elsewhere import elsewhere_hint, not_here
from holdfast.model.events import DrainRequested, PauseRequested, RestartRequested, ResumeRequested
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
        ),
        "web": ServicePolicy("web", Mode.ACTIVE_ACTIVE, (), elsewhere=(MemberPolicy("web-1", RUN, on="h2"),)),
    },
)


def test_component_of_another_host_is_told_with_what_to_type() -> None:
    assert elsewhere_hint(POLICY, "db/db-2") == "db/db-2 runs on h2: ask there, with `holdfast --host h2 ...`"


def test_movable_one_is_where_the_leader_placed_it() -> None:
    assert "runs on h3" in elsewhere_hint(POLICY, "db/db-3", {"db-3": "h3"})
    assert "runs on no host" in elsewhere_hint(POLICY, "db/db-3")


def test_one_of_this_host_or_of_none_is_not_elsewhere() -> None:
    for component in ("db/db-1", "db/db-9", "job/job-1", "db"):
        assert not elsewhere_hint(POLICY, component)


def test_command_for_a_member_of_another_host_is_answered_with_where_to_ask() -> None:
    for command in (
        DrainRequested("db/db-2", "ann"),
        RestartRequested("db/db-2", "ann"),
        ResumeRequested("db/db-2", "ann"),
    ):
        assert "holdfast --host h2" in str(not_here(POLICY, command, {}))
    assert "holdfast --host h3" in str(
        not_here(POLICY, DrainRequested("db/db-3", "ann"), {"db": {"db-3": "h3"}})
    )


def test_command_for_a_whole_service_is_of_this_host_if_it_has_a_member_here() -> None:
    assert not_here(POLICY, RestartRequested("db", "ann"), {}) is None
    told = str(not_here(POLICY, RestartRequested("web", "ann"), {}))
    assert told.startswith("web has no member on this host; web/web-1 runs on h2")


def test_command_for_the_system_or_for_what_is_here_is_nobody_elses() -> None:
    for command in (
        ResumeRequested(None, "ann"),
        PauseRequested("web", 5, "ann", ""),
        DrainRequested("db/db-1", "ann"),
        DrainRequested("db/db-9", "ann"),
    ):
        assert not_here(POLICY, command, {}) is None
