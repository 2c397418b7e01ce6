"""Signatures: a provider signs what its signals say, so that nobody else who may write to the inbox speaks for it.

Ed25519 over the signed text: the signal's fields that are not at their default, without the signature, as JSON with
sorted names, no spaces, UTF-8 as it is, enums and decimals as text, decimals without trailing zeros or exponent, other
numbers with a fraction as Python writes them (1.0, not 1). So a field that comes later does not break what was signed
before. Keys and signatures are Base64 (RFC 4648, with padding).
"""

import base64
import binascii
import json
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.record import Part
from schemas.signal import Signal

KEYS_KEPT = 256


class BadKey(ValueError):
    """A key that is not 32 bytes in Base64."""


def new_keys() -> tuple[str, str]:
    """A fresh private key, which only the provider may know, and its public key."""
    private = Ed25519PrivateKey.generate()
    return _text(private.private_bytes_raw()), _text(private.public_key().public_bytes_raw())


def is_key(public_key: str) -> bool:
    """Whether the text is a public key."""
    return _public(public_key) is not None


def signed(signal: Signal, private_key: str) -> Signal:
    """The signal with its signature. Raises BadKey."""
    try:
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private_key, validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadKey("the private key is not 32 bytes in Base64") from error
    return msgspec.structs.replace(signal, signature=_text(key.sign(signed_text(signal))))


def is_signed(signal: Signal, public_key: str) -> bool:
    """Whether the signal bears the signature of this key's owner over what it says; False for a key that is none."""
    key = _public(public_key)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(signal.signature, validate=True), signed_text(signal))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def signed_text(signal: Signal) -> bytes:
    """What is signed."""
    said = _said(signal)
    said.pop("signature", None)
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _said(part: Part) -> dict[str, Any]:
    """The fields that are not at their default."""
    fields = msgspec.structs.fields(type(part))
    values = [(field, getattr(part, field.name)) for field in fields]
    return {field.name: _plain(value) for field, value in values if value != _default(field)}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _plain(value: Any) -> Any:
    match value:
        case StrEnum():
            return str(value)
        case Decimal():
            return f"{value.normalize():f}" if value.is_finite() else str(value)
        case Part():
            return _said(value)
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value


@lru_cache(KEYS_KEPT)
def _public(text: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
