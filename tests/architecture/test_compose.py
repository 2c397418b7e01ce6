"""docker-compose.yml is valid, and starts only what the engine has."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.paths import ROOT

CHECK = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]


def test_the_compose_file_is_valid() -> None:
    checked = subprocess.run([*CHECK, str(ROOT / "docker-compose.yml")], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_compose_check_can_fail(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text("services:\n  kafka:\n    imagee: apache/kafka\n")
    assert subprocess.run([*CHECK, str(wrong)], capture_output=True, check=False).returncode == 1


def services() -> dict[str, dict[str, object]]:
    """The services of the compose file."""
    found: dict[str, dict[str, object]] = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    return found


def test_every_image_is_pinned_to_a_version() -> None:
    for name, service in services().items():
        image = str(service["image"])
        assert ":" in image, name
        assert not image.endswith(":latest"), name


@pytest.mark.parametrize("name", ["kafka", "registry", "clickhouse", "prometheus", "grafana", "worker"])
def test_every_server_has_a_health_check(name: str) -> None:
    assert "healthcheck" in services()[name]
