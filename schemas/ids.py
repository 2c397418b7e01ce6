"""Ids that are pure functions of their causes."""

from hashlib import blake2b

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = tuple(range(120, -1, -10))


def short_id(*parts: str | bytes) -> str:
    """26 characters of lowercase base32 (128 bits of BLAKE2b) over the parts, each preceded by its length.

    The length keeps ("ab", "c") and ("a", "bc") apart. The alphabet and length suit every broker's client order id.
    """
    message = b""
    for part in parts:
        text = part if isinstance(part, bytes) else part.encode()
        message += len(text).to_bytes(4, "big") + text
    # Two characters at a time: the standard library's base32 takes four times as long, and every output needs an id.
    number = int.from_bytes(blake2b(message, digest_size=16).digest(), "big") << 2
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
