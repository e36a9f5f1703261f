"""Rendering of templates: Jinja2 in a sandbox, strict about what is undefined, bounded in time and size."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import jinja2
from jinja2.bccache import Bucket

from app.errors import InvalidError
from app.netboot.sandbox import OUTPUT_MAX, Sandbox
from app.netboot.words import plain

_IDLE_MAX = 8
TEMPLATES_MAX = 512
"""Compiled templates kept; those of a few dozen boot environments."""


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


class _Compiled(jinja2.BytecodeCache):
    """What templates were compiled to, by name and text: a rack asks for the same one a thousand times.

    Used from several threads: what a lookup misses because another makes room is compiled again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], CodeType] = OrderedDict()

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._kept[bucket.key, bucket.checksum] = bucket.code
        while len(self._kept) > TEMPLATES_MAX:
            with contextlib.suppress(KeyError):  # another thread was faster
                self._kept.popitem(last=False)


_compiled_templates = _Compiled()


_idle: list[Sandbox] = []


@contextlib.contextmanager
def _borrowed(templates: Mapping[str, str]) -> Generator[Sandbox]:
    """A sandbox for one rendering. Making one takes longer than most templates do, so they are used again.

    Nothing of a rendering stays behind: templates cannot change what they are given, and none is kept by name.
    """
    try:
        sandbox = _idle.pop()
    except IndexError:
        sandbox = environment({})
    sandbox.begin(templates)
    try:
        yield sandbox
    finally:
        sandbox.begin({})
        if len(_idle) < _IDLE_MAX:
            _idle.append(sandbox)


def environment(templates: Mapping[str, str]) -> Sandbox:
    """An environment whose templates are `templates`, by name; `include` and `import` look nowhere else."""
    return Sandbox(
        templates,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # boot scripts and answer files are no HTML
        finalize=_present,
        bytecode_cache=_compiled_templates,
        cache_size=0,  # by name: the next rendering's may be another of the same name
    )


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
        with _borrowed(templates) as sandbox:
            return _bounded(sandbox.get_template(name).generate(context), bootenv, name)
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


VALUE_WORK = 2000
"""What a template for one value may do: it is rendered while a machine waits for its DHCP answer."""
_VALUE = "value"
_VALUES_MAX = 1024


class _Values(threading.local):
    """The sandbox of one thread, and the templates that were made in it: to make either takes longer than to render."""

    def __init__(self) -> None:
        self.sandbox = Sandbox({}, work_max=VALUE_WORK, finalize=_present)
        self.templates: dict[str, jinja2.Template] = {}

    def template(self, source: str) -> jinja2.Template:
        """The template, ready to be rendered once."""
        self.sandbox.work.renew()
        found = self.templates.get(source)
        if found is None:
            if len(self.templates) >= _VALUES_MAX:
                self.templates.clear()
            code, names = _compiled(source), dict(self.sandbox.globals)
            found = self.templates[source] = self.sandbox.template_class.from_code(self.sandbox, code, names)
        return found


@lru_cache(maxsize=_VALUES_MAX)
def _compiled(source: str) -> CodeType:
    return environment({}).compile(source, _VALUE, _VALUE)


_values = _Values()


def check_value(source: str) -> None:
    """Raise RenderError unless `source` is a template for one value."""
    try:
        _compiled(source)
    except jinja2.TemplateSyntaxError as error:
        raise RenderError("", _VALUE, error.lineno, plain(error.message or "syntax error")) from error


def value(source: str, context: Mapping[str, Any]) -> str:
    """One value from its template, compiled once and rendered with little work. Raises RenderError."""
    check_value(source)
    try:
        return _bounded(_values.template(source).generate(context), "", _VALUE)
    except RenderError:
        raise
    except Exception as error:  # whatever an expression of a template can raise is that template's fault
        raise RenderError("", _VALUE, 0, plain(str(error) or type(error).__name__)) from error


def architectures(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A boot environment's files as plain values for a template."""
    return {
        arch: {"kernel": files.kernel, "kernels": dict(files.kernels), "initrds": list(files.initrds)}
        for arch, files in found.items()
    }


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
