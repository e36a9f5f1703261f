"""Rendering: strict, sandboxed, bounded, and its errors say where and what."""

from __future__ import annotations

import resource
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


_LITERAL = "[" + ",".join("1" for _ in range(200)) + "]"
# Each would take seconds to hours, or gigabytes.
BOMBS = {
    "concatenation": "{% set a='x'*65536 %}" + "{% set a=a~a %}" * 14 + "{{ a|length }}",
    "addition": "{% set a='x'*65536 %}" + "{% set a=a+a %}" * 14 + "{{ a|length }}",
    "numbers": "{% set a=99999999999 %}" + "{% set a=a*a %}" * 24,
    "loops without range": f"{{% set l={_LITERAL} %}}" + "{% for a in l %}" * 4 + "{% endfor %}" * 4,
    "macros": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "replace": "{% set a='x'*65536 %}{{ a|replace('x', a[:8000])|length }}",
    "join": "{{ (['x'*65536]*8000)|join|length }}",
    "indent": "{{ 'x\ny'|indent(500000000)|length }}",
    "batch": "{{ [1]|batch(100000000,'x')|list|length }}",
    "blocks": "{% set a %}" + "x" * 100 + "{% endset %}" + "{% set a %}{{a}}{{a}}{% endset %}" * 20 + "{{ a|length }}",
    "long work": "{% set a='x'*65536 %}{% for i in range(90000) %}{% if a|upper|lower == a %}{% endif %}{% endfor %}",
    "json": "{{ {'a':{'b':1}}|tojson(indent=300000000)|length }}",
    "includes": "{% set n = n|default(60) - 1 %}{% if n>0 %}{% include 'boot' %}{% include 'boot' %}{% endif %}",
    "sorting": "{% set l=[1]*65536 %}{% for i in range(2000) %}{% set z=l|sort|list %}{% endfor %}",
    "splitting": "{% set a='x '*32000 %}{% for i in range(5000) %}{% set b=a.split() %}{% endfor %}",
    "shared lists": "{% set a=[1] %}" + "{% set a=[a,a] %}" * 40 + "{{ a }}",
    "equal lists": "{% set a=[1] %}{% set b=[1] %}" + "{% set a=[a,a] %}{% set b=[b,b] %}" * 40 + "{{ a == b }}",
    "sums of lists": "{{ [[1]*9000]*9000|sum(start=[]) }}",
    "filters mapped": "{% set a='x'*65536 %}{{ range(9000)|map('replace', '1', a)|join|length }}",
    "attributes joined": "{{ ([{'a': 'x'*65536}]*9000)|join(attribute='a')|length }}",
}


@pytest.mark.parametrize("source", list(BOMBS.values()), ids=list(BOMBS))
def test_v03_what_would_take_for_ever_or_all_memory_ends(source: str) -> None:
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RenderError):
        one(source)
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_what_templates_do_in_earnest_is_still_allowed() -> None:
    context = {"machine": {"macs": ["52:54:00:00:00:07", "52:54:00:00:00:08"], "note": "x" * 1000}}
    source = (
        "{% set all = machine.macs + ['a'] %}{% for a, b in [(1, 2), (3, 4)] %}{{ a ~ '-' ~ b }} {% endfor %}"
        "{{ all|join(', ') }} {{ loop is defined }} {{ [{'n': 1}, {'n': 2}]|join('+', attribute='n') }}"
        "{% macro m(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}"
        "{% macro n() %}{{ caller() }}{% endmacro %}{% call n() %}called{% endcall %} "
        "{% for x in 'abc' %}{{ loop.index }}{{ loop.last }}{% endfor %}"
        "{{ {'a': [1, {'b': 2}]}|tojson }} {{ 'a,b'.split(',')|last }} {{ 3 * 4 + 1 }} {{ 'x' if 1 == 1 else 'y' }}"
        "{% for row in [[1, [2]], [3]] recursive %}{% for c in row %}{{ loop.length }}{% endfor %}{% endfor %}"
    )
    assert one(source, context) == (
        "1-2 3-4 52:54:00:00:00:07, 52:54:00:00:00:08, a False 1+212called 1False2False3True"
        '{"a": [1, {"b": 2}]} b 13 x221'
    )


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


def test_a_template_that_was_changed_is_rendered_as_it_is_now() -> None:
    first = render("env", "boot", {"boot": "{% include 'part' %}", "part": "one"}, {})
    again = render("env", "boot", {"boot": "{% include 'part' %}", "part": "two"}, {})
    other = render("other", "boot", {"boot": "three"}, {})
    assert (first, again, other) == ("one", "two", "three")
