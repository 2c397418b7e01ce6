"""FIX 4.4: any venue that takes orders over a FIX session. Needs the extra `fix` (QuickFIX)."""

from connectors.brokers.fix.broker import FixBroker
from connectors.brokers.fix.settings import FixAccount, FixSettings

__all__ = ["FixAccount", "FixBroker", "FixSettings"]
