"""What a verb, an option and an argument are: declared once, parsed, completed and documented from here.

Nothing heavy is imported: completing a word must not cost the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "value", "number", "list", "pairs", "switch"]
"""How an option becomes JSON: a string; a string or null when empty; a number; a list of strings (also parted by
commas); a list of `name=value`, each as it is; a boolean."""


@dataclass(frozen=True, slots=True)
class Option:
    """A flag. `field` is the field of the object it sets; without one it belongs to the verb."""

    flag: str
    help: str
    kind: Kind = "text"
    field: str = ""
    choices: tuple[str, ...] = ()
    metavar: str = ""
    keys: str = ""
    """Complete it with the keys of this noun."""

    @property
    def name(self) -> str:
        """What the parser calls it."""
        return self.flag.lstrip("-").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Argument:
    """A word that has its place. `keys` completes it with the keys of a noun."""

    name: str
    help: str
    many: bool = False
    optional: bool = False
    keys: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done; `run` names the function in `app.cli.verbs` that does it."""

    name: str
    summary: str
    run: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of object and its verbs. `key` is the field an operator knows it by."""

    name: str
    summary: str
    verbs: tuple[Verb, ...]
    key: str = "name"
    columns: tuple[str, ...] = ()
    """Fields shown by `list`, as paths."""

    @property
    def one(self) -> str:
        """One of them."""
        return self.name.removesuffix("s")

    def verb(self, name: str) -> Verb | None:
        """The verb of this name."""
        return next((verb for verb in self.verbs if verb.name == name), None)


COMMON = (
    Option("--json", "write JSON; errors too", "switch"),
    Option("--yaml", "write YAML", "switch"),
    Option("--quiet", "write keys only, or nothing", "switch"),
    Option("--endpoint", "the engine's socket, for example unix:/run/bootcart/api.sock", metavar="ENDPOINT"),
    Option("--data-dir", "the engine's data directory, whose socket is used", metavar="DIR"),
)
"""Every verb takes these, before the noun, before the verb or behind it."""

PAGE = (
    Option("--filter", "only what fits all of these: word, field=value, field~part, ! before it: not", "list"),
    Option("--sort", "order by a field, - before it: descending", metavar="FIELD"),
    Option("--limit", "at most this many", "number"),
    Option("--offset", "leave out the first of them", "number"),
)
"""Every list takes these."""


def leading(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The common options at the head of the words, with their values, and the words after them."""
    valued = {option.flag for option in COMMON if option.kind != "switch"}
    known = {option.flag for option in COMMON}
    at = 0
    while at < len(words) and words[at].partition("=")[0] in known:
        at += 2 if words[at] in valued else 1
    return list(words[:at]), list(words[at:])


def key_argument(noun: str, *, many: bool = False) -> Argument:
    """The KEY of a verb."""
    return Argument("key", "an id, a name, or Name:, Mac:, Address:, Uuid: and a value", many=many, keys=noun)


def reading(noun: str, one: str) -> tuple[Verb, ...]:
    """The verbs of everything that can be looked at."""
    return (
        Verb("list", f"list {noun}", "listed", options=PAGE, examples=(f"bootcart {noun} list --json",)),
        Verb("show", f"show one {one}", "shown", (key_argument(noun),)),
        Verb(
            "exists",
            f"exit with 0 when there is such a {one}, with 3 when there is none",
            "exists",
            (key_argument(noun),),
        ),
        Verb(
            "wait",
            f"wait until a field of a {one} has a value",
            "waited",
            (
                key_argument(noun),
                Argument("field", "a field, for example status.state or just state"),
                Argument("value", "what to wait for"),
            ),
            (Option("--timeout", "seconds to wait at most, 0: for ever; default 600", "number", metavar="SECONDS"),),
        ),
    )


def editing(
    noun: str, one: str, named: str, fields: tuple[Option, ...], example: str, extra: tuple[Option, ...] = ()
) -> tuple[Verb, ...]:
    """The verbs of everything that can be changed; `extra` options are for `update` and `delete`."""
    source = Argument("input", "`-`, a file or a URL with JSON or YAML", optional=True)
    return (
        Verb(
            "create",
            f"create a {one}",
            "created",
            (Argument(named, f"its {named}; or `-`, a file or a URL with JSON or YAML", optional=True), source),
            tuple(field for field in fields if field.field != named),
            (example, f"bootcart {noun} create - < {noun}.yaml"),
        ),
        Verb("update", f"change fields of a {one}", "updated", (key_argument(noun), source), fields + extra),
        Verb(
            "set",
            f"set one field of a {one}",
            "set_field",
            (
                key_argument(noun),
                Argument("field", "the field's name"),
                Argument("value", "JSON, or a plain word"),
            ),
        ),
        Verb("delete", f"delete {noun}", "deleted", (key_argument(noun, many=True),), extra),
    )
