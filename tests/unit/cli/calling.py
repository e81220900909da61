"""The type of the fixture `call`: a command line as an operator types it."""

from collections.abc import Callable
from typing import TypeAlias

from click.testing import Result

Call: TypeAlias = Callable[..., Result]
