"""The part of Go's template language that ``--format`` needs, over plain JSON values.

https://pkg.go.dev/text/template: text and ``{{actions}}`` with trimming, dotted paths, variables, pipelines,
parentheses, ``if``/``else``, ``range``, ``with``, the comparison and printing functions, and Docker's own
(``json``, ``join``, ``split``, ``lower``, ``upper``, ``title``, ``pad``, ``truncate``). Not here: ``define``,
``template``, ``block``, ``break``, ``continue``, complex numbers, and printf verbs past ``%s %v %d %q %f %x %t``.

A name that an object does not have is looked up without regard to case: Docker's templates name the fields of
Go's structures (``.ID``), which its JSON spells ``Id``. A template reads values; it can reach no Python object.
"""

from __future__ import annotations

import re

from rundlet.cli.template_functions import FUNCTIONS, TemplateError, is_true, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Evaluate = Callable[["Scope"], Any]
    """An expression, compiled."""
    Render = Callable[["Scope", list[str]], None]
    """A piece of the template, compiled: appends its text."""

__all__ = ["Template", "TemplateError"]

_ACTION = re.compile(
    r"\{\{(- )?\s*(/\*.*?\*/|(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^\"`}]|\}(?!\}))*?)\s*( -)?\}\}", re.DOTALL
)
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<path>(?:\$\w*)?(?:\.\w+)+|\$\w*|\.)
    | (?P<word>\w+)
    | (?P<mark>:=|[()|,=])
    )""",
    re.VERBOSE,
)
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "nil": None}


class Scope:
    """What ``.`` and the ``$variables`` mean at one place of the template."""

    __slots__ = ("dot", "functions", "variables")

    def __init__(self, dot: Any, variables: dict[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self.dot = dot
        self.variables = variables
        self.functions = functions

    def inner(self, dot: Any) -> Scope:
        return Scope(dot, dict(self.variables), self.functions)


class Template:
    """A compiled template. Raises TemplateError for what is malformed, or, when rendered, for a missing name."""

    def __init__(self, source: str) -> None:
        self._render = _Compiler(source).compile()

    def render(self, data: Any, *, functions: Mapping[str, Callable[..., Any]] = FUNCTIONS) -> str:
        pieces: list[str] = []
        self._render(Scope(data, {"$": data}, functions), pieces)
        return "".join(pieces)


def _pieces(source: str) -> list[tuple[bool, str]]:
    """``(is an action, text)`` in order, blanks trimmed where ``{{-`` and ``-}}`` ask for it, comments dropped."""
    pieces: list[tuple[bool, str]] = []
    at, trim = 0, False
    for match in _ACTION.finditer(source):
        text = source[at : match.start()]
        if "{{" in text:
            raise TemplateError("unclosed action")
        text = text.lstrip() if trim else text
        pieces.append((False, text.rstrip() if match[1] else text))
        if not match[2].startswith("/*"):
            pieces.append((True, match[2]))
        at, trim = match.end(), bool(match[3])
    rest = source[at:].lstrip() if trim else source[at:]
    if "{{" in rest:
        raise TemplateError("unclosed action")
    pieces.append((False, rest))
    return [piece for piece in pieces if piece[0] or piece[1]]


class _Compiler:
    """Blocks: turns pieces into one Render, nesting at if/range/with."""

    def __init__(self, source: str) -> None:
        self.pieces = _pieces(source)
        self.at = 0

    def compile(self) -> Render:
        body, end = self._block()
        if end:
            raise TemplateError(f"unexpected {{{{{end}}}}}")
        return body

    def _block(self) -> tuple[Render, str]:
        """Everything up to ``end``, ``else…`` or the end of the template; and which of them it was."""
        parts: list[Render] = []
        while self.at < len(self.pieces):
            is_action, text = self.pieces[self.at]
            self.at += 1
            if not is_action:
                parts.append(_literal(text))
                continue
            word, _, rest = text.partition(" ")
            if word in ("end", "else"):
                return _sequence(parts), text
            if word in ("if", "range", "with"):
                parts.append(self._control(word, rest))
            else:
                parts.append(_action(_Expression(text)))
        return _sequence(parts), ""

    def _control(self, word: str, condition: str) -> Render:
        expression = _Expression(condition)
        names = expression.declared_names()
        value = expression.pipeline()
        expression.finish()
        body, end = self._block()
        otherwise: Render = _sequence([])
        if end.startswith("else "):
            inner, _, rest = end.removeprefix("else ").strip().partition(" ")
            otherwise = self._control(inner, rest)
            end = "end"
        elif end == "else":
            otherwise, end = self._block()
        if end != "end":
            raise TemplateError(f"unexpected end of template: {{{{{word}}}}} is not closed")
        return {"if": _if, "with": _with, "range": _range}[word](names, value, body, otherwise)


def _literal(text: str) -> Render:
    return lambda scope, out: out.append(text)


def _sequence(parts: Sequence[Render]) -> Render:
    def render(scope: Scope, out: list[str]) -> None:
        for part in parts:
            part(scope, out)

    return render


def _action(expression: _Expression) -> Render:
    names = expression.declared_names()
    value = expression.pipeline()
    expression.finish()

    def render(scope: Scope, out: list[str]) -> None:
        result = value(scope)
        if names:
            scope.variables[names[0]] = result
        else:
            out.append(text_of(result))

    return render


def _if(names: Sequence[str], value: Evaluate, body: Render, otherwise: Render) -> Render:
    def render(scope: Scope, out: list[str]) -> None:
        inner = scope.inner(scope.dot)
        result = value(inner)
        inner.variables.update(dict.fromkeys(names, result))
        (body if is_true(result) else otherwise)(inner, out)

    return render


def _with(names: Sequence[str], value: Evaluate, body: Render, otherwise: Render) -> Render:
    def render(scope: Scope, out: list[str]) -> None:
        result = value(scope)
        inner = scope.inner(result)
        inner.variables.update(dict.fromkeys(names, result))
        if is_true(result):
            body(inner, out)
        else:
            otherwise(scope.inner(scope.dot), out)

    return render


def _range(names: Sequence[str], value: Evaluate, body: Render, otherwise: Render) -> Render:
    def render(scope: Scope, out: list[str]) -> None:
        entries = _entries(value(scope))
        for key, item in entries:
            inner = scope.inner(item)
            inner.variables.update(zip(reversed(names), (item, key), strict=False))
            body(inner, out)
        if not entries:
            otherwise(scope.inner(scope.dot), out)

    return render


def _entries(value: Any) -> list[tuple[Any, Any]]:
    if value is None:
        return []
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return [(number, number) for number in range(value)]
    raise TemplateError(f"range can't iterate over {text_of(value)}")


class _Expression:
    """Expressions: one action's text, read by recursive descent."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(source.rstrip()):
            match = _TOKEN.match(source, at)
            if match is None:
                raise TemplateError(f'unexpected "{source[at:].strip()}" in operand')
            # ").Field" and "x.Field" differ only by the blank before the dot.
            glued = match.start(match.lastgroup or 0) == at
            kind = match.lastgroup or ""
            self.tokens.append(("field" if kind == "path" and glued and at else kind, match[match.lastgroup or 0]))
            at = match.end()
        self.tokens.append(("end", ""))

    def _peek(self) -> tuple[str, str]:
        return self.tokens[0]

    def _take(self) -> tuple[str, str]:
        return self.tokens.pop(0)

    def finish(self) -> None:
        if self._peek()[0] != "end":
            raise TemplateError(f'unexpected "{self._peek()[1]}" in "{self.source}"')

    def declared_names(self) -> list[str]:
        """``$x :=`` or ``$k, $v :=`` in front of a pipeline."""
        texts = [text for _, text in self.tokens[:4]]
        if len(texts) > 1 and texts[0].startswith("$") and texts[1] in (":=", "="):
            del self.tokens[:2]
            return texts[:1]
        if len(texts) > 3 and texts[1] == "," and texts[3] == ":=":
            del self.tokens[:4]
            return [texts[0], texts[2]]
        return []

    def pipeline(self) -> Evaluate:
        value = self._command(None)
        while self._peek()[1] == "|":
            self._take()
            value = self._command(value)
        return value

    def _command(self, piped: Evaluate | None) -> Evaluate:
        kind, text = self._peek()
        if kind == "word" and text not in _CONSTANTS:
            self._take()
            if text not in FUNCTIONS:
                raise TemplateError(f'function "{text}" not defined')
            arguments = self._operands()
            if piped is not None:
                arguments.append(piped)
            return _call(text, arguments)
        value = self._operand()
        arguments = self._operands()
        if piped is not None:
            arguments.append(piped)
        return _method(value, arguments) if arguments else value

    def _operands(self) -> list[Evaluate]:
        operands = []
        while self._peek()[0] != "end" and self._peek()[1] not in (")", "|"):
            operands.append(self._operand())
        return operands

    def _operand(self) -> Evaluate:
        kind, text = self._take()
        if text == "(":
            value = self.pipeline()
            if self._take()[1] != ")":
                raise TemplateError(f'unclosed left paren in "{self.source}"')
            if self._peek()[0] == "field":
                return _path(value, self._take()[1].strip(".").split("."))
            return value
        if kind == "string":
            literal = text[1:-1] if text[0] == "`" else _unquote(text)
            return lambda scope: literal
        if kind == "number":
            number = float(text) if "." in text else int(text)
            return lambda scope: number
        if kind in ("path", "field"):
            return _variable_or_field(text)
        if kind == "word" and text in _CONSTANTS:
            return lambda scope: _CONSTANTS[text]
        if kind == "word" and text in FUNCTIONS:
            return _call(text, [])
        raise TemplateError(f'missing value for command in "{self.source}"')


def _unquote(text: str) -> str:
    import json

    try:
        return str(json.loads(text.replace("\\'", "'")))
    except ValueError as error:
        raise TemplateError(f"bad string {text}") from error


def _variable_or_field(text: str) -> Evaluate:
    head, *names = text.split(".")
    names = [name for name in names if name]
    if not head.startswith("$"):
        return _path(lambda scope: scope.dot, names)

    def variable(scope: Scope) -> Any:
        if head not in scope.variables:
            raise TemplateError(f'undefined variable "{head}"')
        return scope.variables[head]

    return _path(variable, names)


def _path(base: Evaluate, names: Sequence[str]) -> Evaluate:
    def evaluate(scope: Scope) -> Any:
        value = base(scope)
        for name in names:
            value = _field(value, name)
        return value

    return evaluate


def _field(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        if name in value:
            return value[name]
        for key in value:
            if key.lower() == name.lower():
                return value[key]
        raise TemplateError(f'map has no entry for key "{name}"')
    if value is None:
        raise TemplateError(f"nil pointer evaluating .{name}")
    raise TemplateError(f"can't evaluate field {name} in {text_of(value)}")


def _call(name: str, arguments: Sequence[Evaluate]) -> Evaluate:
    def evaluate(scope: Scope) -> Any:
        values = [argument(scope) for argument in arguments]
        try:
            return scope.functions[name](*values)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise TemplateError(f"error calling {name}: {error}") from error

    return evaluate


def _method(value: Evaluate, arguments: Sequence[Evaluate]) -> Evaluate:
    """``.Label "name"``: the one kind of method that Docker's rows have."""

    def evaluate(scope: Scope) -> Any:
        method = value(scope)
        if not callable(method):
            raise TemplateError(f"can't give argument to non-function {text_of(method)}")
        return method(*(argument(scope) for argument in arguments))

    return evaluate
