"""Rendering of templates: Jinja2 in a sandbox, strict about what is undefined, bounded in time and size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.errors import InvalidError
from app.netboot.words import plain

OUTPUT_MAX = 1 << 20
STEPS_MAX = 100_000
"""What the loops over `range` of one rendering may count to, all together."""
REPEAT_MAX = 1 << 16

FILTERS = (
    "batch", "count", "d", "default", "dictsort", "first", "indent", "int", "items", "join", "last", "length",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "select", "selectattr",
    "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
)  # fmt: skip
METHODS = frozenset(
    ("endswith", "get", "items", "keys", "lower", "removeprefix", "removesuffix", "split", "splitlines", "startswith",
     "strip", "lstrip", "rstrip", "upper", "values")
)  # fmt: skip
"""The methods of text, lists and mappings a template may call; those that pad or format could fill the memory."""


class RenderError(InvalidError):
    """A template that does not render: whose, which, where and why."""

    def __init__(self, bootenv: str, template: str, line: int, why: str, hint: str = "") -> None:
        place = "/".join(part for part in (bootenv, template) if part)
        at = f" line {line}" if line else ""
        super().__init__(f"{place}{at}: {why}", hint=hint or "mend the template or define what it asks for")
        self.bootenv = bootenv
        self.template = template
        self.line = line
        self.why = why


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("*", "**", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or (operator == "%" and not isinstance(left, (int, float))):
            raise SecurityError(f"{operator} is not allowed here")
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Sequence) and len(cast("Sequence[Any]", one)) * int(other) > REPEAT_MAX:
                    raise SecurityError(f"a repetition longer than {REPEAT_MAX}")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, (str, bytes, list, tuple, dict, Mapping, int, float)) and callable(value):
            return attr in METHODS
        return super().is_safe_attribute(obj, attr, value)


def _steps() -> Callable[..., range]:
    """A `range` whose uses within one rendering may count to STEPS_MAX together: loops in loops end."""
    left = STEPS_MAX

    def bounded(*arguments: int) -> range:
        nonlocal left
        span = range(*arguments)
        left -= len(span)
        if left < 0:
            raise SecurityError(f"loops that count further than {STEPS_MAX}")
        return span

    return bounded


def environment(templates: Mapping[str, str]) -> jinja2.Environment:
    """An environment whose templates are `templates`, by name; `include` and `import` look nowhere else."""

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        source = templates.get(name)
        # The name doubles as the file name, so that a traceback tells which template a line is in.
        return None if source is None else (source, name, lambda: True)

    made = _Sandbox(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # boot scripts and answer files are no HTML
        finalize=_present,
    )
    filters: dict[str, Callable[..., Any]] = cast("Any", made).filters
    made.filters = {name: filters[name] for name in FILTERS}
    made.globals = {}
    return made


def _present(value: Any) -> Any:
    # "None" in a boot script is never what was meant.
    return "" if value is None else value


def parse(bootenv: str, name: str, source: str) -> None:
    """Raise RenderError unless `source` is a template."""
    try:
        environment({name: source}).get_template(name)
    except jinja2.TemplateSyntaxError as error:
        raise RenderError(bootenv, name, error.lineno, plain(error.message or "syntax error")) from error


def _line(error: BaseException, names: Mapping[str, str]) -> tuple[str, int]:
    """The innermost template and line an error came from: jinja2 rewrites tracebacks to template lines."""
    found, trace = ("", 0), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in names:
            found = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _bounded(pieces: Iterator[str], bootenv: str, name: str) -> str:
    kept: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > OUTPUT_MAX:
            raise RenderError(bootenv, name, 0, f"it renders to more than {OUTPUT_MAX} characters")
        kept.append(piece)
    return "".join(kept)


def render(bootenv: str, name: str, templates: Mapping[str, str], context: Mapping[str, Any]) -> str:
    """Template `name` of a boot environment with `context`. Raises RenderError for whatever goes wrong in it."""
    try:
        template = environment(templates).get_template(name)
        pieces = template.generate({"range": _steps(), **context})
        return _bounded(pieces, bootenv, name)
    except RenderError:
        raise
    except jinja2.TemplateSyntaxError as error:
        place = error.name or name
        raise RenderError(bootenv, place, error.lineno, plain(error.message or "syntax error")) from error
    except jinja2.TemplateNotFound as error:
        place, line = _line(error, templates)
        why = f"there is no template {plain(error.message or '')!r}"
        raise RenderError(bootenv, place or name, line, why) from error
    except RecursionError as error:
        raise RenderError(bootenv, name, 0, "it includes itself") from error
    except Exception as error:  # whatever an expression of a template can raise is that template's fault
        place, line = _line(error, templates)
        why = plain(str(error) or type(error).__name__)
        raise RenderError(bootenv, place or name, line, why) from error


def architectures(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A boot environment's files as plain values for a template."""
    return {arch: {"kernel": files.kernel, "initrds": list(files.initrds)} for arch, files in found.items()}


def words(text: str) -> str:
    """Text as an `echo` of iPXE may show it: no variables, no operators, no comment, one line."""
    safe = plain(text, 400).encode("ascii", "replace").decode("ascii")
    return " ".join("".join(char if char.isalnum() or char in " .,:;'_/()=+-?!@" else " " for char in safe).split())


GIVE_BACK = ("iseq ${platform} efi && exit 1 ||", "exit")
"""Give the machine back to its firmware: OVMF goes on in its boot order only after an error, BIOS after either."""


def failure_script(title: str, lines: Sequence[str], again: str, attempt: int) -> str:
    """A script that boots nothing: it says what is wrong, waits (5, 10, 20, … 60 s) and asks `again` (a URL)."""
    wait = min(60, 5 * 2 ** min(max(attempt, 0), 6))
    shown = [f"echo   {words(line)}" for line in lines if words(line)]
    return "\n".join(
        (
            "#!ipxe",
            "echo",
            f"echo Bootcart: {words(title)}",
            *shown,
            f"echo Asking again in {wait} seconds. Ctrl-C: iPXE command line.",
            f"sleep {wait} || shell",
            f"chain --replace {again}?attempt={attempt + 1} ||",
            *GIVE_BACK,
            "",
        )
    )
