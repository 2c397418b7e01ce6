"""Statements of access: ClickHouse can read each, and none forgets a table that bears an account."""

from collections.abc import Callable

import chdb
import pytest

from connectors.clickhouse.access import AS_BYTES, main, statements
from connectors.clickhouse.tables import tables


def parsed(statement: str) -> str:
    """The statement as ClickHouse's own parser writes it; raises where it is no SQL."""
    spelt = statement.replace("\\", "\\\\").replace("'", "\\'")
    ask: Callable[[str, str], object] = chdb.query
    return str(ask(f"SELECT formatQuerySingleLine('{spelt}')", "TabSeparatedRaw"))


def test_clickhouse_can_read_every_statement() -> None:
    for statement in statements("paper", ["demo", "desk-1"]):
        assert parsed(statement).split()[0] in ("CREATE", "GRANT", "REVOKE")
    with pytest.raises(Exception, match="Syntax error"):
        parsed("CREATE ROLE IF NOT")


def test_every_table_that_bears_an_account_has_a_policy_for_analysts_and_one_for_all_others() -> None:
    said = list(statements("paper", ["demo"]))
    for table in tables():
        bears = any(column.name == "account_id" for column in table.columns)
        policies = [one for one in said if "ROW POLICY" in one and f"`{table.name}` FOR" in one]
        assert len(policies) == (2 if bears else 0), table.name
        if bears:
            assert policies[0].endswith("account_id IN ('demo') TO `ql_paper_analyst`")
            assert policies[1].endswith("USING 1 TO ALL EXCEPT `ql_paper_analyst`")


def test_records_as_bytes_are_closed_to_who_sees_some_accounts_only() -> None:
    said = list(statements("paper", ["demo"]))
    assert [one.split("`")[3] for one in said if one.startswith("REVOKE")] == list(AS_BYTES)
    assert not any("REVOKE" in one or "POLICY" in one for one in statements("paper"))


def test_analysts_may_read_and_nothing_else() -> None:
    granted = [one for one in statements("paper", ["demo"]) if one.startswith("GRANT")]
    assert granted == ["GRANT SELECT ON `ql_paper`.* TO `ql_paper_analyst`"]


def test_an_account_that_is_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no account id"):
        list(statements("paper", ["x') TO ALL --"]))


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper"]) == 0
    assert capsys.readouterr().out.count(";\n") == len(list(statements("paper")))
    assert main([]) == 2
