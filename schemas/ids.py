"""Ids that are pure functions of their causes."""

from hashlib import blake2b

import msgspec

_ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567"
_CHARACTERS = bytes(_ALPHABET[byte & 31] for byte in range(256))
_LAST = bytes(_ALPHABET[byte & 28] for byte in range(256))
"""The last of 26 characters holds three bits only: as base32 all of them are the 128 bits of a UUID."""
_told_apart = msgspec.msgpack.Encoder().encode


def short_id(*parts: str | bytes) -> str:
    """26 characters of lowercase base32 (128 bits of BLAKE2b) over the parts, each preceded by its length.

    The length keeps ("ab", "c") and ("a", "bc") apart. The alphabet and length suit every broker's client order id.
    """
    # Every output needs an id. Five bits of each byte are a character: no arithmetic, and nothing is looped over here.
    digest = blake2b(_told_apart(parts), digest_size=26).digest()
    return (digest[:25].translate(_CHARACTERS) + digest[25:].translate(_LAST)).decode()
