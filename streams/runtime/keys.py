"""Where a key lives: the partition that Java's default partitioner gives it.

partition = (murmur2(key) & 0x7fffffff) mod partitions
"""

from functools import lru_cache

_SEED = 0x9747B28C
_M = 0x5BD1E995
_WORD = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """The 32-bit hash of Kafka's `Utils.murmur2`, unsigned."""
    length = len(key)
    value = (_SEED ^ length) & _WORD
    whole = length - length % 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * _M & _WORD
        word = (word ^ word >> 24) * _M & _WORD
        value = (value * _M & _WORD) ^ word
    if whole < length:
        value = (value ^ int.from_bytes(key[whole:], "little")) * _M & _WORD
    value = (value ^ value >> 13) * _M & _WORD
    return value ^ value >> 15


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of this key in a topic of so many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
