"""What is generated from the code is in sync with it."""

from streams.commands.generated import ROOT, differing, generated


def test_generated_files_are_what_the_code_says() -> None:
    assert [str(path.relative_to(ROOT)) for path in differing()] == [], "run `quantumleap docs`"


def test_the_readme_has_a_place_for_the_flow_and_nothing_else_is_touched() -> None:
    texts = {path.name: text for path, text in generated()}
    assert "```mermaid" in texts["README.md"]
    assert texts["README.md"].startswith("# Quantum Leap")
