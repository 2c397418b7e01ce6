"""Record: the base of everything that travels on a topic."""

import inspect
import re
from typing import ClassVar

import msgspec

NAMESPACE = "quantumleap"

_FIELD_LINE = re.compile(r"^    (?P<name>[a-z_0-9, ]+): (?P<text>.+)$")


class Part(msgspec.Struct, frozen=True, gc=False):
    """A typed piece of a record that never travels alone."""


class Record(Part, frozen=True, gc=False):
    """A fact with a time.

    Frozen and compared by value. Construction does not validate: records of our own are right by their types, and what
    comes from people and other systems passes `schemas.edge` first. `event_time_us` is when it became true for whoever
    says so; rules know no other time.

    `source_id` names the fields that identify a record where it enters the system; what repeats them repeats the fact.
    """

    event_time_us: int

    source_id: ClassVar[tuple[str, ...]] = ()

    def source_key(self) -> str | None:
        """The record's own identity as its source gave it, or None where only its cause identifies it."""
        names = type(self).source_id
        if not names:
            return None
        return "/".join((type(self).__name__, *(str(getattr(self, name)) for name in names)))


def record_name(cls: type[Part]) -> str:
    """The Avro name, which is also the registry subject."""
    return f"{NAMESPACE}.{cls.__name__}"


def field_docs(cls: type[Part]) -> dict[str, str]:
    """Meaning and unit of each field, from the lines `    name: text` of the class docstrings, base first."""
    docs: dict[str, str] = (
        {"event_time_us": "when this became true, microseconds of UTC"} if issubclass(cls, Record) else {}
    )
    for line in (inspect.getdoc(cls) or "").splitlines():
        match = _FIELD_LINE.match("    " + line)
        if match:
            docs.update(dict.fromkeys((name.strip() for name in match["name"].split(",")), match["text"]))
    return {name: text for name, text in docs.items() if name in cls.__struct_fields__}


def summary(cls: type[Part]) -> str:
    """The first sentence of the class docstring."""
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
