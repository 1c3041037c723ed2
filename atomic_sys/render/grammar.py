# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of Jinja that an image's template may use, checked on its syntax tree before it runs.

Jinja's sandbox keeps a template away from Python's internals, but not from the machine's time and
memory: `{{ 9 ** 9 ** 9 }}`, five nested loops or a list of lists of lists need no forbidden
attribute. So what is not on a list here is refused: no macros, blocks, includes or captured
output, few filters, only methods whose result is no larger than their input, and no list built
from names that the template binds itself, which is what lets a value double at each step. Source:
https://jinja.palletsprojects.com/en/3.1.x/sandbox/ ("Security Considerations").
"""

from collections.abc import Iterator

from jinja2 import nodes, visitor

from atomic_sys.render.limits import TemplateError

MAX_DEPTH = 100  # of the syntax tree
STATEMENTS = frozenset({"Template", "Output", "TemplateData", "If", "For", "Assign", "With"})
EXPRESSIONS = frozenset(
    {
        "Add", "And", "Call", "Compare", "Concat", "CondExpr", "Const", "Dict", "Div", "Filter",
        "FloorDiv", "Getattr", "Getitem", "Keyword", "List", "Mod", "Mul", "Name", "Neg", "Not",
        "Operand", "Or", "Pair", "Pos", "Slice", "Sub", "Test", "Tuple",
    }
)  # fmt: skip
PLAIN_FILTERS = frozenset(
    {
        "abs", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last",
        "length", "list", "lower", "reverse", "sort", "trim", "unique", "upper",
    }
)  # fmt: skip
FILTERS = PLAIN_FILTERS | {"join", "string", "tojson", "unit", "word"}
TESTS = frozenset(
    {
        "boolean", "defined", "divisibleby", "eq", "even", "false", "float", "ge", "gt", "in",
        "integer", "iterable", "le", "lt", "mapping", "ne", "none", "number", "odd", "sequence",
        "string", "true", "undefined",
    }
)  # fmt: skip
FUNCTIONS = frozenset({"range"})
METHODS = frozenset(
    {
        "endswith", "get", "items", "keys", "lower", "lstrip", "removeprefix", "removesuffix",
        "rpartition", "partition", "rstrip", "split", "splitlines", "startswith", "strip", "upper",
        "values",
    }
)  # fmt: skip
BUDGET_FILTER = "budgeted"  # added around what a loop goes through; no template can name it
CONCAT_FILTER = "concatenated"  # what `~` becomes, so that its result is measured


def check(name: str, tree: nodes.Template) -> None:
    """Raises TemplateError, with file and line, for anything that is not allowed."""
    bound = {n.name for n in _names(tree) if n.ctx != "load"}
    for node, depth in _walk(tree):
        problem = _problem(node, bound)
        if depth > MAX_DEPTH:
            problem = "nested too deeply"
        if problem is not None:
            raise TemplateError(f"{name}:{node.lineno}: {problem}")


def _walk(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int]]:
    """Every node with its depth; a loop, for a tree may be deeper than Python's stack."""
    pending: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        yield node, depth
        pending.extend((child, depth + 1) for child in node.iter_child_nodes())


def _names(tree: nodes.Node) -> Iterator[nodes.Name]:
    for node, _ in _walk(tree):
        if isinstance(node, nodes.Name):
            yield node


def _problem(node: nodes.Node, bound: set[str]) -> str | None:
    """What is wrong with this one node, its children aside."""
    kind = type(node).__name__
    problem = None
    match node:
        case _ if kind not in STATEMENTS | EXPRESSIONS:
            problem = f"{kind.lower()} is not available in this template"
        case nodes.For() if node.recursive:
            problem = "recursive loops are not available in this template"
        case nodes.Name() if node.name.startswith("_"):
            problem = f"the name {node.name!r} is reserved"
        case nodes.Getattr() if node.attr.startswith("_"):
            problem = f"the attribute {node.attr!r} is not accessible"
        case nodes.Filter() if node.name not in FILTERS:
            problem = f"there is no filter {node.name!r}"
        case nodes.Test() if node.name not in TESTS:
            problem = f"there is no test {node.name!r}"
        case nodes.Call() if not _callable(node, bound):
            problem = "only range() and simple string and mapping methods can be called"
        case nodes.List() | nodes.Dict():
            problem = _literal_problem(node, bound)
        case nodes.Tuple() if node.ctx == "load":
            problem = _literal_problem(node, bound)
    return problem


def _callable(call: nodes.Call, bound: set[str]) -> bool:
    if call.dyn_args is not None or call.dyn_kwargs is not None:
        return False
    match call.node:
        case nodes.Name():
            return call.node.name in FUNCTIONS - bound
        case nodes.Getattr():
            return call.node.attr in METHODS
        case _:
            return False


def _literal_problem(literal: nodes.Node, bound: set[str]) -> str | None:
    for name in _names(literal):
        if name.name in bound:
            return f"a list or mapping cannot be built from {name.name!r}, which is set here"
    return None


def instrument(tree: nodes.Template) -> nodes.Template:
    """The tree with a budget around each loop and a measure around each `~`."""
    done: nodes.Template = _Instrument().visit(tree)
    return done


class _Instrument(visitor.NodeTransformer):
    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter(node.iter, BUDGET_FILTER)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), CONCAT_FILTER)


def _filter(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
