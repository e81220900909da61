"""`holdfast completion`: the shell's own words, from click."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    Costs nothing: the script asks holdfast for words while you type, which takes about a tenth of a second.

    \b
    Examples:
      holdfast completion bash > ~/.local/share/bash-completion/completions/holdfast
      holdfast completion zsh  > ~/.zfunc/_holdfast
      holdfast completion fish > ~/.config/fish/completions/holdfast.fish
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "holdfast", "_HOLDFAST_COMPLETE").source())
