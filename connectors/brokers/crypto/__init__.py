"""Crypto venues through ccxt: Binance and Kraken, spot and perpetual. Needs the extra `crypto` (ccxt)."""

from connectors.brokers.crypto.broker import CryptoBroker
from connectors.brokers.crypto.settings import CryptoAccount, CryptoSettings

__all__ = ["CryptoAccount", "CryptoBroker", "CryptoSettings"]
