"""A server of our own without clients: PostgreSQL's single-user mode.

It recovers what crashed so that it can be rewound, and prepares what is not open to anybody yet. It runs as one program,
with a time limit, and leaves the data cleanly shut down.
"""

from collections.abc import Sequence

from holdfast.model.time import MINUTE, Duration
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.programs import Done, run

# Nothing of what it does is archived: of a deposed primary that would be a log that no longer counts. The command fails,
# so that segments are kept for later. Statements hold passwords: they are not written into any log.
_OPTIONS = {
    "archive_mode": "on",
    "archive_command": "false",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "logging_collector": "off",
    "log_destination": "stderr",
    "synchronous_standby_names": "",
    "wal_keep_size": "1TB",  # its checkpoint must not recycle the segments back to where the log diverged
}


async def recover_alone(
    instance: Instance, statements: Sequence[str] = (), *, within: Duration = 10 * MINUTE
) -> Done:
    """Recover the instance, run `statements` (one line each), and shut it down cleanly. Nothing else may run there."""
    assert not any("\n" in statement for statement in statements), "a line end ends a statement there"
    (instance.folder / "standby.signal").unlink(missing_ok=True)  # single-user servers refuse to be standbys
    (instance.folder / "recovery.signal").unlink(missing_ok=True)
    settings = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    config = ["-c", f"config_file={instance.config}"] if instance.config else []
    command = (instance.program("postgres"), "--single", "-D", instance.data, *settings, *config)
    done = await run(
        instance,
        (*command, instance.database),
        within=within,
        say="".join(f"{statement}\n" for statement in statements),
    )
    # It goes on after an error and ends with 0.
    if done.code == 0 and "ERROR:" in done.output:
        return Done(3, done.output)
    return done
