"""Ids that are pure functions of their causes."""

import base64
from hashlib import blake2b


def short_id(*parts: str) -> str:
    """26 characters of lowercase base32 (128 bits of BLAKE2b) over the parts, each preceded by its length.

    The length keeps ("ab", "c") and ("a", "bc") apart. The alphabet and length suit every broker's client order id.
    """
    digest = blake2b(digest_size=16)
    for part in parts:
        text = part.encode()
        digest.update(len(text).to_bytes(4, "big"))
        digest.update(text)
    return base64.b32encode(digest.digest()).decode().rstrip("=").lower()
