"""A FIX message as its fields, in order: what the wire carries, without a library around it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from schemas.scalars import InvalidScalar, check_decimal, datetime_of, decimal_of, micros_of, rounded

SOH = "\x01"


class BadMessage(Exception):
    """A message without what it must have, or with what cannot be read. Says which tag."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Tags and their texts. A tag may come more than once: groups repeat."""

    pairs: tuple[tuple[int, str], ...]

    @classmethod
    def parse(cls, text: str) -> "Fields":
        """The fields of a message. Raises BadMessage."""
        pairs = []
        for part in text.split(SOH):
            if not part:
                continue
            tag, equals, value = part.partition("=")
            if not equals or not tag.isdigit():
                raise BadMessage(f"{part[:40]!r} is no field")
            pairs.append((int(tag), value))
        return cls(tuple(pairs))

    def __str__(self) -> str:
        return "|".join(f"{tag}={value}" for tag, value in self.pairs)

    def get(self, tag: int) -> str:
        """The first text under the tag; empty where there is none."""
        return next((value for known, value in self.pairs if known == tag), "")

    def need(self, tag: int) -> str:
        """The text under the tag. Raises BadMessage where there is none."""
        value = self.get(tag)
        if not value:
            raise BadMessage(f"message {self.get(35)} has no tag {tag}")
        return value

    def number(self, tag: int) -> Decimal | None:
        """The number under the tag, None where there is none. Raises BadMessage where it is no number that we carry."""
        text = self.get(tag)
        if not text:
            return None
        try:
            number = decimal_of(text)
            check_decimal(number)
        except InvalidScalar as error:
            raise BadMessage(f"message {self.get(35)}, tag {tag}: {str(error)[:120]}") from error
        return number

    def average(self, tag: int) -> Decimal | None:
        """The quotient under the tag, to the places that we carry; None where there is none or it cannot be carried.

        Nothing is counted by an average, so one that cannot be read spoils no message.
        """
        try:
            average = rounded(Decimal(self.get(tag)))
            check_decimal(average)
        except (ArithmeticError, InvalidScalar):
            return None
        return average

    def amount(self, tag: int) -> Decimal:
        """The number that must be under the tag."""
        number = self.number(tag)
        if number is None:
            raise BadMessage(f"message {self.get(35)} has no tag {tag}")
        return number

    def time_us(self, tag: int) -> int:
        """The time under the tag, 0 where there is none. Raises BadMessage."""
        text = self.get(tag)
        if not text:
            return 0
        form = "%Y%m%d-%H:%M:%S.%f" if "." in text else "%Y%m%d-%H:%M:%S"
        try:
            return micros_of(datetime.strptime(text[:24], form).replace(tzinfo=UTC))
        except ValueError as error:
            raise BadMessage(f"message {self.get(35)}, tag {tag}: {text[:40]!r} is no time") from error

    def groups(self, first: int) -> Iterator["Fields"]:
        """The stretches that each begin with this tag."""
        starts = [place for place, (tag, _) in enumerate(self.pairs) if tag == first]
        for start, end in zip(starts, [*starts[1:], len(self.pairs)], strict=True):
            yield Fields(self.pairs[start:end])


def text_of(number: Decimal) -> str:
    """A number as FIX writes it: no exponent."""
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def time_text(time_us: int) -> str:
    """A time as FIX writes it, to the millisecond."""
    return f"{datetime_of(time_us):%Y%m%d-%H:%M:%S}.{time_us // 1000 % 1000:03d}"
