"""`holdfast demo`: a real service fails and recovers before your eyes."""

from importlib import import_module

import click


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """See a real service fail and recover, in half a minute.

    Starts two web servers and a worker that needs them behind HAProxy, on loopback and in a temporary
    folder, sends requests all the time, kills and hangs the server that serves, and tells what the
    clients saw and why holdfast did what it did. Nothing of yours is touched, and nothing is left behind.
    Needs HAProxy. To begin with your own service use `holdfast init`.

    \b
    Example:
      holdfast demo
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    # The demonstration stands on the same floor: it is a stranger, found by name when it is called for.
    context.exit(import_module("holdfast.demo.running").run_demo())
