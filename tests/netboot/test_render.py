"""Rendering: strict, sandboxed, bounded, and its errors say where and what."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.errors import InvalidError
from app.netboot.render import OUTPUT_MAX, RenderError, failure_script, parse, render, words

MACHINE: dict[str, Any] = {"name": "web1", "macs": ["52:54:00:00:00:07"], "note": "{{ 7*7 }}"}
CONTEXT: dict[str, Any] = {"machine": MACHINE, "reason": "", "param": lambda name: {"a": "1"}[name]}


def one(source: str, context: dict[str, Any] | None = None) -> str:
    return render("env", "boot", {"boot": source}, context or CONTEXT)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ machine.name }}", "web1"),
        ("{{ machine['name']|upper }}", "WEB1"),
        ("{{ machine.macs[0].split(':')|join('-') }}", "52-54-00-00-00-07"),
        ("{{ param('a') }}", "1"),
        ("{{ machine.note }}", "{{ 7*7 }}"),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{{ none }}", ""),
        ("{{ {'a': 1}|tojson }}", '{"a": 1}'),
        ("<&>", "<&>"),
        ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc\n"),
    ],
)
def test_templates_render(source: str, text: str) -> None:
    assert one(source) == text


def test_templates_include_and_import_each_other_by_constant_and_computed_name() -> None:
    templates = {
        "boot": "{% include 'part' %}{% include 'pa' ~ 'rt' %}{% from 'lib' import twice %}{{ twice('x') }}",
        "part": "{{ machine.name }} ",
        "lib": "{% macro twice(t) %}{{ t }}{{ t }}{% endmacro %}",
    }
    assert render("env", "boot", templates, CONTEXT) == "web1 web1 xx"


ERRORS = [
    ("undefined", {"boot": "a\n{{ nobody }}"}, "boot", 2, "'nobody' is undefined"),
    ("undefined field", {"boot": "{{ machine.nothing }}"}, "boot", 1, "no attribute 'nothing'"),
    ("undefined in an include", {"boot": "x\n{% include 'p' %}", "p": "\n\n{{ gone }}"}, "p", 3, "'gone' is undefined"),
    ("undefined in a loop", {"boot": "{% for x in missing %}{% endfor %}"}, "boot", 1, "'missing' is undefined"),
    ("a function that fails", {"boot": "\n{{ param('zzz') }}"}, "boot", 2, "zzz"),
    ("syntax", {"boot": "a\nb\n{% if %}"}, "boot", 3, "Expected an expression"),
    ("syntax in an include", {"boot": "{% include 'p' %}", "p": "\n{{ x"}, "p", 2, "unexpected end"),
    ("unknown filter", {"boot": "{{ 'x'|pprint }}"}, "boot", 1, "No filter named 'pprint'"),
    ("missing include", {"boot": "\n{% include '/etc/passwd' %}"}, "boot", 2, "no template '/etc/passwd'"),
    ("division", {"boot": "{{ 1 / 0 }}"}, "boot", 1, "division by zero"),
    ("itself", {"boot": "{% include 'boot' %}"}, "boot", 0, "includes itself"),
]


@pytest.mark.parametrize(("templates", "template", "line", "why"), [r[1:] for r in ERRORS], ids=[r[0] for r in ERRORS])
def test_errors_say_which_template_which_line_and_what(
    templates: dict[str, str], template: str, line: int, why: str
) -> None:
    with pytest.raises(RenderError) as caught:
        render("env", "boot", templates, CONTEXT)
    error = caught.value
    assert (error.bootenv, error.template) == ("env", template)
    assert error.line == line or not line
    assert why in error.why
    assert "env" in str(error)
    assert error.hint
    assert isinstance(error, InvalidError)


HOSTILE = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ machine.__class__ }}", "{{ param.__globals__ }}",
    "{{ param.__code__ }}", "{{ (param|attr('__globals__')) }}", "{{ ''|attr('__class__') }}", "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}", "{{ config }}", "{{ request }}", "{{ lipsum.__globals__ }}",
    "{{ lipsum() }}", "{{ cycler.__init__ }}", "{{ cycler('a') }}", "{{ joiner() }}", "{{ namespace() }}",
    "{{ dict(a=1) }}", "{{ '%s'|format(machine) }}", "{{ '{0.__class__}'.format(machine) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}", "{{ [machine]|map(attribute='__class__')|first }}",
    "{{ machine|groupby('__class__') }}", "{{ machine|xmlattr }}",
    "{{ machine.update({'a': 1}) }}", "{{ machine.pop('name') }}", "{{ machine.macs.append('x') }}",
    "{{ machine.macs.clear() }}", "{% set x = machine.setdefault('a', 1) %}", "{{ 9**9**9 }}", "{{ 'x' * 10**9 }}",
    "{{ 'x' * 1000000000 }}", "{{ 1000000000 * 'x' }}", "{{ [0] * 1000000000 }}", "{{ '%1000000000d' % 1 }}",
    "{{ 'x'.ljust(1000000000) }}", "{{ 'x'.center(1000000000) }}", "{{ 'x'.zfill(1000000000) }}",
    "{{ 'x'.rjust(999999999) }}", "{{ 'x'|center(1000000000) }}", "{{ 'x'|wordwrap(1) }}", "{{ range(10**9) }}",
    "{% for a in range(1000000000) %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(400) %}{% for b in range(400) %}{% endfor %}{% endfor %}",
    "{% include '/etc/passwd' %}", "{% include '../../etc/passwd' %}", "{% import 'os' as os %}",
    "{% extends 'http://x/' %}", "{{ ().__class__ }}", "{{ (1).__class__ }}", "{{ 1.0.__class__ }}",
    "{{ true.__class__ }}", "{{ [].__class__.__base__ }}", "{{ {}.__class__ }}", "{{ machine.items.__self__ }}",
    "{{ ''.join.__self__ }}", "{{ ''['__class__'] }}", "{{ machine['__class__'] }}", "{{ ''.encode() }}",
    "{{ ''.__doc__ }}", "{{ param.__call__ }}", "{{ param.func_globals }}", "{% debug %}", "{% do 1 %}",
    "{{ url_for }}", "{{ get_flashed_messages }}", "{{ caller() }}", "{{ varargs }}", "{{ ''|random }}",
    "{{ machine|pprint }}", "{{ 'x'|filesizeformat }}", "{{ 'x'|urlize }}",
    "{% for x in range(90000) %}" + "x" * 1000 + "{% endfor %}",
]  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE, ids=lambda source: source[:60])
def test_v03_templates_cannot_leave_the_sandbox_or_fill_the_machine(source: str) -> None:
    before = repr(MACHINE)
    began = time.monotonic()
    with pytest.raises(RenderError) as caught:
        one(source)
    assert time.monotonic() - began < 2
    assert "root:" not in str(caught.value)
    assert repr(MACHINE) == before


def test_v03_what_a_machine_says_is_data_never_a_template() -> None:
    for source in HOSTILE:
        assert one("{{ machine.note }}", {"machine": {"note": source}}) == source


def test_output_is_bounded() -> None:
    assert len(one("{% for a in range(1000) %}" + "x" * 1000 + "{% endfor %}")) == 1_000_000
    with pytest.raises(RenderError, match=str(OUTPUT_MAX)):
        one("{% for a in range(1050) %}" + "x" * 1000 + "{% endfor %}")


def test_parse_finds_the_line() -> None:
    parse("env", "boot", "{{ fine }}")
    with pytest.raises(RenderError) as caught:
        parse("env", "boot", "\n\n{% endfor %}")
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'x' is undefined", "'x' is undefined"),
        ("a && b || c", "a b c"),
        ("${net0/mac} # x", "net0/mac x"),
        ("two\nlines\x1b[2J", "two.lines. 2J"),
        ("größe", "gr??e"),
    ],
)
def test_words_for_an_ipxe_screen_hold_no_ipxe(text: str, shown: str) -> None:
    assert words(text) == shown


def test_failure_script() -> None:
    script = failure_script("web1 cannot boot x now", ["boot line 2", "", "'a' is undefined"], "http://10.7.0.1/s", 0)
    assert script == (
        "#!ipxe\n"
        "echo\n"
        "echo Bootcart: web1 cannot boot x now\n"
        "echo   boot line 2\n"
        "echo   'a' is undefined\n"
        "echo Asking again in 5 seconds. Ctrl-C: iPXE command line.\n"
        "sleep 5 || shell\n"
        "chain --replace http://10.7.0.1/s?attempt=1 ||\n"
        "iseq ${platform} efi && exit 1 ||\n"
        "exit\n"
    )
    waits = [failure_script("x", [], "u", attempt).split("sleep ")[1].split()[0] for attempt in range(7)]
    assert waits == ["5", "10", "20", "40", "60", "60", "60"]
