"""Write docs/reference from the code: the API, the command line, the settings, the events, the diagnoses, the keys.

python packaging/reference.py           write the pages
python packaging/reference.py --check   exit with 1 when a page is not current
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "packaging")]

from architectures_page import architectures_page  # noqa: E402 - found through the path set above
from options_page import options_page  # noqa: E402

from app.cli.forms import COMMON, PAGE, Argument, Option, Verb  # noqa: E402
from app.cli.nouns import COMPLETION, ENGINE_VERBS, NOUNS  # noqa: E402
from app.config import Settings  # noqa: E402
from app.errors import BY_CODE  # noqa: E402
from app.model.engine import PREFERENCES  # noqa: E402
from app.model.event import EVENT_KINDS  # noqa: E402
from app.netboot.diagnose import RULES  # noqa: E402
from app.screens.registry import ACTIONS, AREAS, CHANGING, Action, key_word  # noqa: E402

FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by packaging/reference.py from the code. -->"

Json = dict[str, Any]


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A Markdown table; a bar in a cell is escaped."""
    names = list(heads)
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def _value(default: Any) -> str:
    if default is None or default in ("", [], {}, ()):
        return ""
    return code(str(default).lower() if isinstance(default, bool) else str(default))


def code(text: str) -> str:
    return f"`{text}`" if text else ""


# --- the command line -------------------------------------------------------------------------------------------------


def _usage(prog: str, verb: Verb) -> str:
    words = [prog, verb.name]
    for argument in verb.arguments:
        word = "|".join(argument.choices) if argument.choices else argument.name.upper()
        word += "..." if argument.many else ""
        words.append(f"[{word}]" if argument.optional else word)
    if verb.options:
        words.append("[OPTIONS]")
    return " ".join(words)


def _option(option: Option) -> tuple[str, str]:
    flag = option.flag
    if option.kind == "switch":
        name = f"`{flag}`" + (f" `--no-{flag[2:]}`" if option.field else "")
    else:
        value = "|".join(option.choices) or option.metavar or flag.lstrip("-").upper()
        name = f"`{flag} {value}`"
    return name, option.help


def _argument(argument: Argument) -> tuple[str, str]:
    return code(argument.name.upper()), argument.help


def _verb(prog: str, verb: Verb, *, known: tuple[Option, ...] = ()) -> Iterator[str]:
    yield f"### `{_usage(prog, verb)}`"
    yield ""
    yield f"{verb.summary[0].upper()}{verb.summary[1:]}."
    yield ""
    rows = [_argument(argument) for argument in verb.arguments if argument.name != "key"]
    rows += [_option(option) for option in verb.options if option not in known]
    if rows:
        yield from table(("argument or option", "meaning"), rows)
    if verb.examples:
        yield from ("```", *verb.examples, "```", "")


def cli_page() -> str:
    """docs/reference/cli.md."""
    lines = ["# Command line", "", NOTE, "", "```", "bootcart NOUN VERB [KEY] [OPTIONS]", "```", ""]
    lines += [
        "`KEY` is an id, a name, or `Index:value` for a unique index: `Name:`, `Mac:`, `Address:`, `Uuid:`.",
        "On a terminal the output is a table; in a pipe its columns are separated by tabs and have no head.",
        "",
        "## Options of every verb",
        "",
        "They stand before the noun or after the verb.",
        "",
        *table(("option", "meaning"), map(_option, COMMON)),
        "## Options of every list",
        "",
        *table(("option", "meaning"), map(_option, PAGE)),
        "## Exit codes",
        "",
        *table(("code", "meaning"), [("0", "done"), *_exit_codes(), ("130", "interrupted")]),
        "## The engine",
        "",
    ]
    for verb in (*ENGINE_VERBS, COMPLETION):
        lines += _verb("bootcart", verb)
    for noun in NOUNS:
        lines += [f"## {noun.name}", "", f"{noun.summary[0].upper()}{noun.summary[1:]}.", ""]
        for verb in noun.verbs:
            lines += _verb(f"bootcart {noun.name}", verb, known=PAGE)
    return "\n".join(lines)


def _exit_codes() -> Iterator[tuple[str, str]]:
    by_exit: dict[int, list[str]] = {}
    for kind in BY_CODE.values():
        by_exit.setdefault(kind.exit_code, []).append(kind.code)
    for number, codes in sorted(by_exit.items()):
        yield str(number), ", ".join(codes)


# --- the API ----------------------------------------------------------------------------------------------------------


def document() -> Json:
    """The OpenAPI document. The routes are made without asking the engine anything, so none is needed."""
    from app.api.app import create_app

    class Nothing:
        """Stands where the engine is asked; nobody asks."""

        commands = events = None

    return create_app(cast("Any", Nothing())).openapi()


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        if name.startswith("Listing_"):
            kinds = name[8:].rstrip("_").removeprefix("Union_").split("__")
            return "page of " + " or ".join(_type({"$ref": kind}) for kind in kinds)
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        kinds = [_type(one) for one in schema["anyOf"]]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return "one of " + ", ".join(code(str(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _default(schema: Json) -> str:
    return _value(schema.get("default"))


def _models(schemas: Json) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        if name.startswith("Listing_"):
            continue
        yield f"### {name}"
        yield ""
        if text := str(schema.get("description", "")).strip().split("\n\n")[0]:
            yield text.replace("\n", " ")
            yield ""
        if "enum" in schema:
            yield ", ".join(code(str(value)) for value in schema["enum"])
            yield ""
            continue
        needed = schema.get("required", [])
        rows = [
            (
                code(field) + (" (required)" if field in needed else ""),
                _type(about),
                _default(about),
                str(about.get("description", "")),
            )
            for field, about in schema.get("properties", {}).items()
        ]
        yield from table(("field", "type", "default", "meaning"), rows)


def _operation(verb: str, path: str, about: Json) -> Iterator[str]:
    yield f"### {verb.upper()} {path}"
    yield ""
    yield f"{about['summary']}." + (f" {about['description']}" if about.get("description") else "")
    yield ""
    rows = [
        (code(str(one["name"])), str(one["in"]), _type(one["schema"]), str(one.get("description", "")))
        for one in about.get("parameters", [])
        if one["in"] != "path"
    ]
    if rows:
        yield from table(("parameter", "in", "type", "meaning"), rows)
    if content := about.get("requestBody", {}).get("content", {}).get("application/json"):
        yield f"Body: {_type(content['schema'])}."
        yield ""
    for status, reply in about["responses"].items():
        if status.startswith("2"):
            kinds = [
                f"{_type(one['schema'])}" if one.get("schema") else code(kind)
                for kind, one in reply.get("content", {}).items()
            ]
            yield f"Answer: {status}" + (f", {', '.join(kinds)}." if kinds else ".")
            yield ""


def api_page() -> str:
    """docs/reference/api.md."""
    told = document()
    lines = [
        "# REST API",
        "",
        NOTE,
        "",
        "The API listens on the engine's Unix socket. Root, the engine's user, the user who started it with sudo and "
        "the members of the group `bootcart` may call it; anyone else is answered 403.",
        "",
        "```",
        "curl --unix-socket /run/bootcart/api.sock http://engine/api/v1/machines",
        "```",
        "",
        str(told["info"]["description"]) + " A page has `items`, the `total` of what fits and its `offset`; "
        "the total is in the header `X-Total-Count` too.",
        "",
        "Every failure has the shape of [Failure](#failure); its status follows its code:",
        "",
        *table(("code", "status"), [(code(kind.code), str(kind.status)) for kind in BY_CODE.values()]),
    ]
    groups: dict[str, list[str]] = {}
    for path, verbs in told["paths"].items():
        for verb, about in verbs.items():
            groups.setdefault(about["tags"][0], []).extend(_operation(verb, path, about))
    for tag, part in groups.items():
        lines += [f"## {tag}", "", *part]
    lines += ["## Models", "", *_models(told["components"]["schemas"])]
    return "\n".join(lines)


# --- settings and events ----------------------------------------------------------------------------------------------


def settings_page() -> str:
    """docs/reference/settings.md."""
    rows: list[tuple[str, str, str, str]] = []
    for setting in fields(Settings):
        default: Any = None if setting.default is MISSING else setting.default
        flag = "--" + setting.name.replace("_", "-")
        rows.append(
            (code(flag), code(f"BOOTCART_{setting.name.upper()}"), _value(default), str(setting.metadata["doc"]))
        )
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "Settings of one engine run: flags over environment over the TOML file (`--config`, `BOOTCART_CONFIG`, else "
        "`/etc/bootcart/bootcart.toml`), whose keys are the flags without dashes before them.",
        "",
        *table(("flag", "environment", "default", "meaning"), rows),
        "# Preferences",
        "",
        "Kept in the store and set with `bootcart prefs set NAME VALUE`.",
        "",
        *table(
            ("name", "default", "choices", "meaning"),
            [(code(p.name), code(p.default), ", ".join(map(code, p.choices)), p.description) for p in PREFERENCES],
        ),
    ]
    return "\n".join(lines)


def events_page() -> str:
    """docs/reference/events.md."""
    lines = [
        "# Events",
        "",
        NOTE,
        "",
        "Every event has `id`, `time`, `kind`, `level`, `message`; those about a machine `mac`, `machine` and "
        "`address`. The facts are in `data`:",
        "",
        *table(("kind", "data"), [(code(kind), data) for kind, data in sorted(EVENT_KINDS.items())]),
    ]
    return "\n".join(lines)


def diagnoses_page() -> str:
    """docs/reference/diagnoses.md."""
    lines = [
        "# Diagnoses",
        "",
        NOTE,
        "",
        "What Bootcart finds by itself when a machine does not boot. Each finding stands on the machine's row, above "
        "its timeline, in `bootcart machines diagnose KEY` and in the events `diagnosis.found` and "
        "`diagnosis.cleared`. Where more is known, for example which server answered or which service is down, the "
        "finding says so.",
        "",
        *table(
            ("id", "seen", "means", "do", "waits"),
            [(code(rule.id), rule.seen, rule.means, rule.do, rule.patience) for rule in RULES],
        ),
    ]
    return "\n".join(lines)


def keys_page() -> str:
    """docs/reference/keys.md."""
    said = "`?` shows those of the screen you are on. What `--read-only` refuses is marked."
    lines = ["# Keys", "", NOTE, "", said, ""]
    lines += ["## Everywhere", "", *_keys(action for action in ACTIONS if action.keys and not action.areas)]
    lines += ["## Areas", "", *table(("key", "area", "what"), [(code(key), name, what) for key, name, what in AREAS])]
    for name in dict.fromkeys(area for action in ACTIONS for area in action.areas):
        lines += [f"## On {name}", "", *_keys(one for one in ACTIONS if one.keys and name in one.areas)]
    forms = [(code(form), action.help) for action in ACTIONS for form in (action.words, *action.aliases) if form]
    lines += ["## The command line of the interface (`:`)", "", *table(("form", "what"), forms)]
    return "\n".join(lines)


def _keys(actions: Iterable[Action]) -> Iterator[str]:
    rows: list[tuple[str, str]] = []
    for action in actions:
        closed = " *(not under `--read-only`)*" if action.id in CHANGING else ""
        rows.append((" ".join(code(key_word(key)) for key in action.keys), action.help + closed))
    yield from table(("key", "what"), rows)


PAGES: dict[str, Callable[[], str]] = {
    "api.md": api_page,
    "architectures.md": lambda: architectures_page(NOTE, table),
    "cli.md": cli_page,
    "diagnoses.md": diagnoses_page,
    "events.md": events_page,
    "keys.md": keys_page,
    "options.md": lambda: options_page(NOTE, table),
    "settings.md": settings_page,
}


def stale() -> list[str]:
    """The pages that are not as the code says."""
    return [name for name, page in PAGES.items() if not _same(FOLDER / name, page())]


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    if arguments == ["--check"]:
        names = stale()
        if names:
            sys.stderr.write(f"not current: {', '.join(names)}; run python packaging/reference.py\n")
        return 1 if names else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
