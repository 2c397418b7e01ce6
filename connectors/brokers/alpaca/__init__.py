"""Alpaca: US equities and crypto over its REST API and its stream of trade updates."""

from connectors.brokers.alpaca.broker import AlpacaBroker
from connectors.brokers.alpaca.credentials import Credentials, CredentialsUnusable
from connectors.brokers.alpaca.endpoints import LIVE, PAPER, AlpacaAccount, Endpoint, LiveNotMeant, Manners

__all__ = [
    "LIVE",
    "PAPER",
    "AlpacaAccount",
    "AlpacaBroker",
    "Credentials",
    "CredentialsUnusable",
    "Endpoint",
    "LiveNotMeant",
    "Manners",
]
