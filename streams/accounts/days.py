"""Days: to which one a time belongs, for accounts, marks and their closes alike."""

from schemas.scalars import DAY_US


def day_of(time_us: int) -> int:
    """Days since 1970 of the day to which the time belongs: a bar that ends at midnight ends its own day."""
    return (time_us - 1) // DAY_US
