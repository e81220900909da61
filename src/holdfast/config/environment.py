"""The variables that a program gets: text in the file, or a secret that is read when the program starts."""

from holdfast.config.commands import FilePath
from holdfast.config.document import Mapping, Node
from holdfast.config.keys import Key, Section, Table
from holdfast.config.kinds import Kind, MapOf, Plain, Schema, Text
from holdfast.config.scope import Invalid, Scope
from holdfast.model.policy import SecretFrom

_VARIABLE = r"(?!HOLDFAST_)[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE_NAMED = "a variable's name of letters, digits and _, and not begin with HOLDFAST_, which is ours"

SECRET = Table(
    "services.NAME.run.env.VARIABLE",
    "A secret: its place instead of its text. It is read when the program starts, and kept nowhere else. Exactly "
    "one key.",
    SecretFrom,
    (
        Key("from_file", FilePath(), "the content of this file, without its last line end", field="file"),
        Key(
            "from_env",
            Text(_VARIABLE, _VARIABLE_NAMED),
            "this variable of holdfast's own environment",
            field="env",
        ),
    ),
    exactly_one=("from_file", "from_env"),
    example="write { from_file: /etc/shop/token }",
)


class Variable(Kind, frozen=True):
    """What one variable is set to."""

    def read(self, node: Node, scope: Scope) -> str | SecretFrom | Invalid:
        """Return the text, or the secret's place."""
        if not isinstance(node, Mapping):
            text: str | Invalid = Plain().read(node, scope)
            return text
        secret: SecretFrom | Invalid = Section(SECRET).read(node, scope)
        return secret

    def inner(self) -> tuple[Kind, ...]:
        """Return the kind of secrets."""
        return (Section(SECRET),)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "text, a number, or a secret's place: { from_file: PATH } or { from_env: NAME }"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"oneOf": [Plain().schema(), Section(SECRET).schema()]}


ENVIRONMENT = MapOf(Text(_VARIABLE, _VARIABLE_NAMED), Variable())
