"""The layers of the architecture hold, and the contract that says so can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]


def test_the_layers_hold() -> None:
    checked = subprocess.run(LINT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_a_schema_that_imports_a_connector_is_refused(tmp_path: Path) -> None:
    for package in ("schemas", "connectors", "streams", "dashboards"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text('"""Doc."""\n')
    for room in ("market_data", "signals", "strategies", "accounts", "execution", "pnl"):
        (tmp_path / "streams" / room).mkdir()
        (tmp_path / "streams" / room / "__init__.py").write_text('"""Doc."""\n')
    (tmp_path / "schemas" / "bad.py").write_text("import connectors\n")
    (tmp_path / ".importlinter").write_text((ROOT / ".importlinter").read_text())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from importlinter.cli import lint_imports_command; "
    checked = subprocess.run(
        [sys.executable, "-c", code + "lint_imports_command(['--no-cache'])"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "schemas.bad" in checked.stdout


@pytest.mark.parametrize("package", ["schemas", "connectors", "streams", "dashboards"])
def test_every_package_is_a_package(package: str) -> None:
    assert (ROOT / package / "__init__.py").exists()
