"""Alpaca: US equities and crypto over its REST API and its stream of trade updates."""

from connectors.brokers.alpaca.broker import AlpacaBroker
from connectors.brokers.alpaca.credentials import Credentials
from connectors.brokers.alpaca.endpoints import LIVE, PAPER, AlpacaAccount, Endpoint, LiveNotMeant, Manners
from connectors.brokers.keys import CredentialsUnusable

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
