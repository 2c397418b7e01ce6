"""A venue on paper: orders matched against the instrument's own later prices, and the broker over it."""

from connectors.brokers.paper.broker import PaperBroker
from connectors.brokers.paper.ledger import LedgerInUse, MemoryLedger, SqliteLedger
from connectors.brokers.paper.rules import FREE, PaperRules
from connectors.brokers.paper.venue import PaperVenue

__all__ = ["FREE", "LedgerInUse", "MemoryLedger", "PaperBroker", "PaperRules", "PaperVenue", "SqliteLedger"]
