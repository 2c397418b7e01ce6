"""Versions: the Avro files of every record, `avro/<subject>/v<N>.avsc`, generated from the records.

A version that `avro/PUBLISHED` names has left the house and is never edited: a record that changes after that gets a
new version. An unpublished version is rewritten in place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from schemas import topics
from schemas.avro_schema import avro_text
from schemas.record import record_name

FOLDER = Path(__file__).parent / "avro"
MARKER = "PUBLISHED"


class Change(StrEnum):
    """What is to be done to a file."""

    WRITE = "WRITE"
    REWRITE = "REWRITE"
    DELETE = "DELETE"
    EDITED = "EDITED"


@dataclass(frozen=True, slots=True)
class Difference:
    """One file that is not what the records say.

    path: the file
    change: what `generate` would do; EDITED is a published file that is not what was published, which only its old text
        mends
    text: what is to be written
    """

    path: Path
    change: Change
    text: str = ""

    def __str__(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}: {_WORDS[self.change]}"


_WORDS = {
    Change.WRITE: "is missing; `quantumleap schemas generate` writes it",
    Change.REWRITE: "differs from its record; `quantumleap schemas generate` rewrites it",
    Change.DELETE: "says what no record says any more; `quantumleap schemas generate` deletes it",
    Change.EDITED: "is published and was edited or removed; restore it and change the record instead",
}


class PublishedVersionEdited(ValueError):
    """A published file is not what was published; nothing was written."""


def versions(subject: str, folder: Path = FOLDER) -> list[str]:
    """Texts of all versions of a subject, oldest first. Raises FileNotFoundError where there are none."""
    files = _files(folder / subject)
    if not files:
        raise FileNotFoundError(f"{subject} has no version in {folder.name}/; run `quantumleap schemas generate`")
    return [path.read_text(encoding="utf-8") for path in files]


def published_versions(subject: str, folder: Path = FOLDER) -> list[str]:
    """Texts of the published versions of a subject, oldest first; empty before its first publication."""
    marks = published(folder)
    return [path.read_text(encoding="utf-8") for path in _files(folder / subject) if _name(path) in marks]


def differences(folder: Path = FOLDER) -> list[Difference]:
    """Every file that is not what the records say; empty when all is well."""
    marks = published(folder)
    found = [
        Difference(folder / name, Change.EDITED)
        for name, digest in marks.items()
        if not (folder / name).exists() or _digest(folder / name) != digest
    ]
    subjects = {record_name(cls): avro_text(cls) for cls in topics.records()}
    for subject, text in subjects.items():
        found += _difference(folder, subject, text, marks)
    for stray in sorted(path for path in folder.glob("*") if path.is_dir() and path.name not in subjects):
        found += [Difference(path, Change.DELETE) for path in _files(stray) if _name(path) not in marks]
    return found


def generate(folder: Path = FOLDER) -> list[Difference]:
    """Write what is missing or changed, and say what was done. Raises PublishedVersionEdited before it writes."""
    found = differences(folder)
    edited = [str(difference) for difference in found if difference.change is Change.EDITED]
    if edited:
        raise PublishedVersionEdited("; ".join(edited))
    for difference in found:
        if difference.change is Change.DELETE:
            difference.path.unlink()
            if not any(difference.path.parent.iterdir()):
                difference.path.parent.rmdir()
        else:
            difference.path.parent.mkdir(parents=True, exist_ok=True)
            difference.path.write_text(difference.text, encoding="utf-8")
    return found


def unpublished(folder: Path = FOLDER) -> list[str]:
    """Names of the versions that may still change."""
    marks = published(folder)
    return sorted(_name(path) for path in folder.glob("*/v*.avsc") if _name(path) not in marks)


def publish(folder: Path = FOLDER) -> list[str]:
    """Mark every version that exists as published, wholly or not at all, and name those that were not before."""
    new = unpublished(folder)
    marks = published(folder) | {name: _digest(folder / name) for name in new}
    half = folder / f".{MARKER}"
    half.write_text("".join(f"{digest} {name}\n" for name, digest in sorted(marks.items())), encoding="utf-8")
    half.replace(folder / MARKER)
    return new


def published(folder: Path = FOLDER) -> dict[str, str]:
    """Digest of each published file by its name `<subject>/v<N>.avsc`; empty before the first publication."""
    marker = folder / MARKER
    if not marker.exists():
        return {}
    pairs = (line.split() for line in marker.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in pairs}


def _difference(folder: Path, subject: str, text: str, marks: dict[str, str]) -> Iterator[Difference]:
    texts = [path.read_text(encoding="utf-8") for path in _files(folder / subject)]
    if texts and texts[-1] == text:
        return
    number = len(texts)
    newest = folder / subject / f"v{number}.avsc"
    if not texts or _name(newest) in marks:
        yield Difference(folder / subject / f"v{number + 1}.avsc", Change.WRITE, text)
    elif number > 1 and texts[-2] == text:
        yield Difference(newest, Change.DELETE)
    else:
        yield Difference(newest, Change.REWRITE, text)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("v*.avsc"), key=lambda path: int(path.stem[1:]))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
