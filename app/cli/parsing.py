"""From words to a call: one argparse parser for the one verb that was given."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from app.cli.forms import Argument, Option, Verb
from app.cli.nouns import options_of
from app.errors import InvalidError


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are ours: one line with a hint."""

    def error(self, message: str) -> NoReturn:
        raise InvalidError(message, hint=f"see: {self.prog} --help")


def parser_for(prog: str, verb: Verb) -> argparse.ArgumentParser:
    """The parser of one verb."""
    examples = "examples:\n" + "\n".join(f"  {line}" for line in verb.examples) if verb.examples else None
    parser = _Parser(
        prog=prog,
        description=verb.summary[0].upper() + verb.summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument in verb.arguments:
        _add_argument(parser, argument)
    for option in options_of(verb):
        _add_option(parser, option)
    return parser


def _add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    settings: dict[str, Any] = {"help": argument.help, "metavar": argument.name.upper()}
    if argument.many:
        settings["nargs"] = "+"
    elif argument.optional:
        settings |= {"nargs": "?", "default": ""}
    if argument.choices:
        settings["choices"] = argument.choices
    parser.add_argument(argument.name, **settings)


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    # The percent sign is argparse's own.
    settings: dict[str, Any] = {"help": option.help.replace("%", "%%"), "dest": option.name, "default": None}
    if option.kind == "switch":
        # A field can be switched off as well as on.
        settings["action"] = argparse.BooleanOptionalAction if option.field else "store_true"
    else:
        settings["metavar"] = option.metavar or option.flag.lstrip("-").upper()
        if option.choices:
            settings |= {"choices": option.choices, "metavar": None}
        if option.kind in ("list", "pairs"):
            settings["action"] = "append"
        elif option.kind == "number":
            settings["type"] = _number
    parser.add_argument(option.flag, **settings)


def _number(text: str) -> int | float:
    value = float(text)
    if not 0 <= value <= 2**53:
        raise argparse.ArgumentTypeError(f"{text} is out of range")
    return int(value) if value.is_integer() else value


_number.__name__ = "number"


def parse(prog: str, verb: Verb, words: Sequence[str]) -> argparse.Namespace:
    """The words after a verb, parsed. Raises InvalidError; ends the program (SystemExit) after `--help`."""
    valued = {option.flag for option in options_of(verb) if option.kind != "switch"}
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            joined += [word, *rest]
        elif word in valued and (value := next(rest, None)) is not None:
            # Joined, a value may begin with a dash, as that of --sort does.
            joined.append(f"{word}={value}")
        else:
            joined.append(word)
    return parser_for(prog, verb).parse_args(joined)


def body_of(verb: Verb, given: argparse.Namespace) -> dict[str, Any]:
    """The fields the flags set, as JSON."""
    body: dict[str, Any] = {}
    for option in verb.options:
        value: Any = getattr(given, option.name)
        if not option.field or value is None:
            continue
        if option.kind == "list":
            # Repeated, or separated by commas; one empty value empties the field.
            value = [part.strip() for text in value for part in str(text).split(",") if part.strip()]
        elif option.kind == "pairs":
            value = [text for text in value if text.strip()]
        elif option.kind == "value" and value == "":
            value = None
        body[option.field] = value
    return body
