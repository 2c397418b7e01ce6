"""Recent: what an account remembers of the last minutes, in pieces of which an order writes few.

Times lie in pages: a full one never changes, so one more time writes the last page of its series, however many went
before it. Ids and fingerprints lie in buckets by their hash: one more writes its bucket.
"""

from bisect import bisect_right
from collections.abc import Mapping
from zlib import crc32

from msgspec import field

from schemas.record import Part

MINUTE_US = 60_000_000

PAGE = 32
"""Times in a full page."""

BUCKETS = 64

BUCKET_MAX = 4096
"""Members of one bucket; beyond, the one that would be forgotten first is. No account of sound limits comes near it."""


class Page(Part, frozen=True):
    """Some times of a series, oldest first. All pages of a series but its last are full; their numbers rise by one."""

    number: int
    times: tuple[int, ...]


class Bucket(Part, frozen=True):
    """Names of one hash, each with a time."""

    times: dict[str, int] = field(default_factory=dict)


class Rejects(Part, frozen=True):
    """Consecutive rejects by strategy."""

    counts: dict[str, int] = field(default_factory=dict)


NO_REJECTS = Rejects()


class Flow(Part, frozen=True):
    """What went through lately, for rates and repeats.

    rejects: consecutive rejects
    times: pages of times by series: `orders|SCOPE|id`, `messages|SCOPE|id`, `executions|strategy/instrument`
    intents: wishes answered, with the time after which they cannot come again; buckets by the name of their part
    prints: fingerprints of orders sent, with their time; likewise
    """

    rejects: Rejects = NO_REJECTS
    times: dict[str, tuple[Page, ...]] = field(default_factory=dict)
    intents: dict[str, Bucket] = field(default_factory=dict)
    prints: dict[str, Bucket] = field(default_factory=dict)


def newest_of(pages: tuple[Page, ...]) -> int:
    """The newest time of a series."""
    return pages[-1].times[-1]


def count(pages: tuple[Page, ...], since_us: int) -> int:
    """Times of a series after this one."""
    first = bisect_right(pages, since_us, key=_last)
    if first == len(pages):
        return 0
    return _length(pages[first:]) - bisect_right(pages[first].times, since_us)


def noted(times: Mapping[str, tuple[Page, ...]], series: str, now_us: int, newest: int) -> dict[str, tuple[Page, ...]]:
    """The times with one more in a series. Pages older than a minute, and those before the `newest` times, go."""
    pages = times.get(series, ())
    since, spare = now_us - MINUTE_US, _length(pages) + 1 - newest
    gone = 0
    while gone < len(pages) and (_last(pages[gone]) <= since or spare >= (gone + 1) * PAGE):
        gone += 1
    if gone < len(pages) and len(pages[-1].times) < PAGE:
        last = pages[-1]
        return {**times, series: (*pages[gone:-1], Page(last.number, (*last.times, now_us)))}
    number = pages[-1].number + 1 if pages else 0
    return {**times, series: (*pages[gone:], Page(number, (now_us,)))}


def paged(times: tuple[int, ...]) -> tuple[Page, ...]:
    """The pages of a series of times."""
    return tuple(Page(at // PAGE, times[at : at + PAGE]) for at in range(0, len(times), PAGE))


def time_of(buckets: Mapping[str, Bucket], kind: str, name: str) -> int | None:
    """The time that is kept with a name; None where none is."""
    bucket = buckets.get(_part_of(kind, name))
    return None if bucket is None else bucket.times.get(name)


def kept(buckets: Mapping[str, Bucket], kind: str, name: str, at_us: int, since_us: int) -> dict[str, Bucket]:
    """The buckets of a kind with one more name; its bucket forgets what lies before `since_us`."""
    part = _part_of(kind, name)
    known = buckets.get(part)
    times = {} if known is None else {key: at for key, at in known.times.items() if at >= since_us}
    times[name] = at_us
    if len(times) > BUCKET_MAX:
        del times[min(times, key=lambda key: (times[key], key))]
    return {**buckets, part: Bucket(times)}


def _part_of(kind: str, name: str) -> str:
    return f"{kind}:{crc32(name.encode()) % BUCKETS:02x}"


def _last(page: Page) -> int:
    return page.times[-1]


def _length(pages: tuple[Page, ...]) -> int:
    return (len(pages) - 1) * PAGE + len(pages[-1].times) if pages else 0
