"""The sandbox templates are rendered in: what they may call, how much they may do, how large a value may grow.

Every loop pass, call, filter and new value is paid for out of one allowance for each rendering, and no value may be
larger than OUTPUT_MAX when written out: what a template can make the engine do ends, whatever it says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import jinja2
from jinja2 import nodes, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.filters import make_attrgetter
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

OUTPUT_MAX = 1 << 20
"""Characters a rendering, and any value in it, may have."""
WORK_MAX = 100_000
"""Loop passes, calls and the like one rendering may take, large values counted as several."""
_CHARACTERS = 256  # as much work as one loop pass
_ITEM = 32  # characters an item of a list stands for: looking at it is work too
_BITS_MAX = 4096
_COLUMNS_MAX = 1000
_LOAD = 10

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

# Names of filters the compiler puts in and no template can write.
_COUNTED, _JOINED, _WEIGHED = " counted", " joined", " weighed"


class Work:
    """The allowance of one rendering. Everything here raises SecurityError when it is used up, or a value too large."""

    def __init__(self, most: int = WORK_MAX) -> None:
        self._left = self._most = most

    def renew(self) -> None:
        """Another rendering begins."""
        self._left = self._most

    def spend(self, units: int = 1) -> None:
        """So much is done."""
        self._left -= units
        if self._left < 0:
            raise SecurityError(f"it does too much: more than {self._most} loop passes, calls and the like")

    def room(self, characters: int) -> None:
        """A value of this size is about to be made."""
        if characters > OUTPUT_MAX:
            raise SecurityError(f"a value of more than {OUTPUT_MAX} characters")
        self.spend(1 + characters // _CHARACTERS)

    def weighed(self, value: Any) -> Any:
        """`value`, paid for by its size."""
        self.room(self.size(value))
        return value

    def size(self, value: Any) -> int:
        """About how many characters a value has when written out; never looks at more than are allowed."""
        if isinstance(value, str):
            return len(value)
        total, left = 0, [value]
        while left:
            item = left.pop()
            total += len(item) if isinstance(item, (str, bytes)) else _ITEM
            if isinstance(item, Mapping):
                held = cast("Mapping[Any, Any]", item)
                left += [*held.keys(), *held.values()]
            elif isinstance(item, (list, tuple, set, frozenset, range)):
                total += _ITEM * len(cast("Sequence[Any]", item))
                if total <= OUTPUT_MAX and not isinstance(item, range):
                    left += cast("Sequence[Any]", item)
            if total > OUTPUT_MAX:
                break
        return total

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, each a loop pass."""
        for item in items:
            self.spend()
            yield item

    def joined(self, pieces: Iterable[Any], between: str = "") -> str:
        """The pieces as one text."""
        kept: list[str] = []
        length = 0
        for piece in pieces:
            self.weighed(piece)
            text = str(piece)
            length += len(text) + len(between)
            if length > OUTPUT_MAX + len(between):
                raise SecurityError(f"a value of more than {OUTPUT_MAX} characters")
            kept.append(text)
        self.room(length)
        return between.join(kept)


class _Paid(NodeTransformer):
    """Puts the filters that count into what a template was parsed to."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filtered(cast("nodes.Expr", node.iter), _COUNTED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _JOINED)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, _WEIGHED)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, _WEIGHED)
        return node

    def _literal(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        # The targets of loops and assignments look the same, and are nothing to weigh.
        return _filtered(node, _WEIGHED) if getattr(node, "ctx", "load") == "load" else node

    visit_List = visit_Tuple = visit_Dict = _literal


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for one rendering at a time; `include` and `import` look nowhere but in `templates`."""

    intercepted_binops = frozenset(("*", "**", "%", "+"))

    def __init__(self, templates: Mapping[str, str], *, work_max: int = WORK_MAX, **options: Any) -> None:
        self.work = Work(work_max)
        self._templates = templates

        def used() -> bool:
            self.work.spend(_LOAD)
            return True

        def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
            source = self._templates.get(name)
            # The name doubles as the file name, so that a traceback tells which template a line is in.
            return None if source is None or not used() else (source, name, used)

        super().__init__(loader=jinja2.FunctionLoader(load), undefined=jinja2.StrictUndefined, **options)
        known: dict[str, Callable[..., Any]] = cast("Any", self).filters
        work = self.work
        self.filters = {
            **{name: self._paid(name, known[name]) for name in FILTERS},
            "join": self._join(),
            _COUNTED: work.counted,
            _JOINED: work.joined,
            _WEIGHED: work.weighed,
        }
        self.globals = {"range": self._range}
        self.concat = work.joined

    def begin(self, templates: Mapping[str, str]) -> None:
        """Another rendering, of these templates, with an allowance of its own."""
        self._templates = templates
        self.work.renew()

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        return super()._generate(_Paid().visit(source), *arguments, **options)

    def call(self, *arguments: Any, **options: Any) -> Any:
        """Sandboxed calls are paid for, what they are given and what they give included."""
        self.work.room(sum(self.work.size(each) for each in (*arguments[2:], *options.values())))
        owner = getattr(arguments[1], "__self__", None)
        if isinstance(owner, (str, list, dict)):
            self.work.weighed(owner)
        found = super().call(*arguments, **options)
        return self.work.weighed(found)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or (operator == "%" and not isinstance(left, (int, float))):
            raise SecurityError(f"{operator} is not allowed here")
        if operator == "+":
            self.work.room(self.work.size(left) + self.work.size(right))
        if operator == "*":
            if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _BITS_MAX:
                raise SecurityError(f"a number of more than {_BITS_MAX} bits")
            for one, times in ((left, right), (right, left)):
                if isinstance(one, Sequence):
                    self.work.room(self.work.size(one) * max(0, int(times)))
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, (str, bytes, list, tuple, dict, Mapping, int, float)) and callable(value):
            return attr in METHODS
        return super().is_safe_attribute(obj, attr, value)

    def _range(self, *arguments: int) -> range:
        span = range(*arguments)
        self.work.spend(len(span))
        return span

    def _paid(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that pays for what it is given and what it gives, and cannot make much of little."""

        @functools.wraps(function)
        def paid(*arguments: Any, **options: Any) -> Any:
            passed = 1 if hasattr(function, "jinja_pass_arg") else 0
            given = arguments[passed:]
            self.work.room(sum(self.work.size(each) for each in (*given, *options.values())))
            if name in _GROWTH:
                self.work.room(_GROWTH[name](*given, **options))
            found = function(*arguments, **options)
            if isinstance(found, Iterator):
                return self.work.counted(cast("Iterator[Any]", found))
            return self.work.weighed(found)

        return paid

    def _join(self) -> Callable[..., str]:
        work = self.work

        @pass_environment
        def join(environment: jinja2.Environment, value: Iterable[Any], d: str = "", attribute: Any = None) -> str:
            if attribute is not None:
                value = map(make_attrgetter(environment, attribute), value)
            return work.joined(value, str(d))

        return join


def _replaced(text: Any, old: Any, new: Any, count: int | None = None) -> int:
    del count
    return len(str(text)) + (str(text).count(str(old)) if str(old) else len(str(text)) + 1) * len(str(new))


def _indented(text: Any, width: Any = 4, *_: Any, **__: Any) -> int:
    wide = len(width) if isinstance(width, str) else int(width)
    return len(str(text)) + (str(text).count("\n") + 1) * wide


def _columns(number: Any) -> int:
    if isinstance(number, int) and number > _COLUMNS_MAX:
        raise SecurityError(f"more than {_COLUMNS_MAX} columns")
    return 0


def _batched(value: Any, linecount: Any = 1, *_: Any, **__: Any) -> int:
    del value
    return _columns(linecount)


def _json(value: Any, indent: Any = None) -> int:
    del value
    return _columns(indent) or (_columns(len(indent)) if isinstance(indent, str) else 0)


def _summed(value: Any, attribute: Any = None, start: Any = 0) -> int:
    del value, attribute
    if not isinstance(start, (int, float)):
        raise SecurityError("only numbers are summed")
    return 0


_GROWTH: dict[str, Callable[..., int]] = {
    "replace": _replaced,
    "indent": _indented,
    "batch": _batched,
    "tojson": _json,
    "sum": _summed,
}
"""How large what a filter makes of its input will be, where that may be much more than its input."""
