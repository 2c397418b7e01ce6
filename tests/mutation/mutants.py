"""Mutants: every place where a rule can be made wrong by one small change that still is sensible Python.

Operators are those of cosmic-ray. Left out are its replacements that any import or any call would notice, such as a
shift of two decimals: they would only flatter the score.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

OPERATORS = (
    "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add", "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Div_Mul", "ReplaceBinaryOperator_FloorDiv_Mul", "ReplaceBinaryOperator_Mod_Mul",
    "ReplaceBinaryOperator_Pow_Mul",
    "ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_LtE_Lt", "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_GtE_Lt",
    "ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Not", "AddNot",
    "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop",
)  # fmt: skip


ARITHMETIC = ("arith_expr", "term", "power")


class Change(NamedTuple):
    """What a mutant is, however the lines of its module move.

    module: dotted name; inside: function or class around it, empty for the module itself
    before, after: the changed lines without their indentation, one a line
    """

    module: str
    inside: str
    before: str
    after: str


class Mutant(NamedTuple):
    """One change of one module.

    inside: function or class around the place; occurrence: which of the operator's places in the module it is
    """

    module: str
    path: Path
    inside: str
    line: int
    operator: str
    occurrence: int

    @property
    def original(self) -> str:
        """The line of the place, without its indentation."""
        return self.path.read_text(encoding="utf-8").splitlines()[self.line - 1].strip()

    @property
    def source(self) -> str:
        """The module with the change."""
        mutated: str | None = mutate_code(self.path.read_text(encoding="utf-8"), _named(self.operator), self.occurrence)
        assert mutated is not None, f"{self.operator} changes nothing at {self.path.name}:{self.line}"
        return mutated

    @property
    def change(self) -> Change:
        """What it changes."""
        before, after = self.path.read_text(encoding="utf-8").splitlines(), self.source.splitlines()
        told = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
        lines = {sign: "\n".join(one[1:].strip() for one in told if one[0] == sign) for sign in "-+"}
        return Change(self.module, self.inside, lines["-"], lines["+"])

    @property
    def diff(self) -> str:
        """The change as people read it."""
        change = self.change
        return f"{self.path.name}:{self.line} in {self.inside or 'the module'}\n" + "".join(
            f"  {sign} {line}\n"
            for sign, lines in (("-", change.before), ("+", change.after))
            for line in lines.split("\n")
        )


def mutants_of(path: Path, module: str) -> Iterator[Mutant]:
    """Every mutant of one module, in the order of operators and places."""
    tree = get_ast(path.read_text(encoding="utf-8"))
    for name in OPERATORS:
        operator = _named(name)
        found = ((node, at) for node in ast_nodes(tree) for at, _ in operator.mutation_positions(node))
        for occurrence, (node, at) in enumerate(found):
            if name.startswith("ReplaceBinaryOperator") and node.parent.type not in ARITHMETIC:
                continue  # the stars of arguments and displays, which cosmic-ray takes for products
            yield Mutant(module, path, ASTQuery(node).get_definition_name() or "", at[0], name, occurrence)


def _named(operator: str) -> Any:
    return get_operator(f"core/{operator}")()
