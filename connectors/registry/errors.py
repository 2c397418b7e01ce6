"""Why the registry did not do what was asked.

    RegistryError
    ├── Unreachable     nobody answered, or it could not answer now: the same call may be repeated
    ├── UnknownSchema   no such subject, version or id
    ├── Incompatible    the schema may not follow the older ones
    ├── InvalidSchema   the text is not a schema
    └── NotAllowed      whatever else it refuses: a missing right, a read-only subject

Each says what happened, why, and what the person can do next.
"""


class RegistryError(Exception):
    """The registry did not do what was asked: `what` failed, `why`, and the `next_step` that helps."""

    def __init__(self, what: str, why: str, next_step: str) -> None:
        super().__init__(what, why, next_step)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.next_step}"


class Unreachable(RegistryError):
    """The registry did not answer within its time, or said that it cannot answer now."""


class UnknownSchema(RegistryError):
    """The registry knows no such subject, version, schema or id."""


class Incompatible(RegistryError):
    """The subject's compatibility level forbids the schema. `why` holds the registry's reasons."""


class InvalidSchema(RegistryError):
    """The registry does not take the text for a schema."""


class NotAllowed(RegistryError):
    """The registry refuses for another reason."""
