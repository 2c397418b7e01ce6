"""Strategy records: what became of an instance, for people and alerts."""

from enum import StrEnum

from schemas.control import Parameter
from schemas.record import Record


class StrategyChange(StrEnum):
    """What happened to an instance: as asked by control, refused, or paused by the engine for its own fault."""

    DEPLOYED = "DEPLOYED"
    PAUSED = "PAUSED"
    RESUMED = "RESUMED"
    STOPPED = "STOPPED"
    CHANGED = "CHANGED"
    REFUSED = "REFUSED"
    FAULTED = "FAULTED"


class StrategyCode(StrEnum):
    """Why a request was refused or an instance was paused by the engine."""

    UNKNOWN_STRATEGY = "UNKNOWN_STRATEGY"
    UNKNOWN_INSTANCE = "UNKNOWN_INSTANCE"
    ALREADY_DEPLOYED = "ALREADY_DEPLOYED"
    BAD_PARAMETER = "BAD_PARAMETER"
    TOO_MANY = "TOO_MANY"
    RAISED = "RAISED"
    TOO_MANY_WISHES = "TOO_MANY_WISHES"
    BAD_WISH = "BAD_WISH"


class StrategyEvent(Record, frozen=True):
    """An instance was deployed, paused, resumed, stopped or changed, a request for it was refused, or it was at fault.

    strategy_id: the instance
    strategy_name: the plug-in
    instrument_id: our id of the instrument
    account_id: who trades
    change: what happened
    request_id: the request that asked for it; empty where the engine acted
    code: why it was refused or at fault; absent otherwise
    detail: one sentence for people
    author: who asked; `engine` where nobody did
    parameters: that hold from here on; for DEPLOYED and CHANGED
    """

    strategy_id: str
    strategy_name: str
    instrument_id: str
    account_id: str
    change: StrategyChange
    request_id: str
    code: StrategyCode | None = None
    detail: str = ""
    author: str = ""
    parameters: list[Parameter] = []
