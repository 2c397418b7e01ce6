"""Deployments: what a control request does to the instances, and what is said about it."""

import re
from collections.abc import Callable, Sequence

import msgspec

from schemas.control import Parameter, StrategyControl, StrategyVerb
from schemas.strategy import StrategyChange, StrategyCode
from streams.strategies.catalogue import Catalogue
from streams.strategies.plugin import COMMON, BadParameter, Value, parameters_of
from streams.strategies.state import Deployment, Floor, News, Standing

REQUESTS_KEPT = 1_000
NEWS_KEPT = 100
"""For each instrument: what was asked without its name is said with its next record."""
INSTANCES_MAX = 5_000
NOWHERE = "nowhere"
"""In place of an instrument: where those are answered who ask about an instance that nobody knows."""

DETAIL_LENGTH_MAX = 300
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


class Refused(Exception):
    """A request that changes no deployment; the code and the sentence go into the event."""

    def __init__(self, code: StrategyCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def after(floor: Floor, control: StrategyControl, catalogue: Catalogue) -> Floor:
    """The floor after a request; one seen before changes nothing, one that is refused leaves only news."""
    if control.request_id in floor.requests:
        return floor
    requests = (*floor.requests, control.request_id)[-REQUESTS_KEPT:]
    held: tuple[Parameter, ...] = ()
    known = floor.deployments.get(control.strategy_id)
    try:
        deployment = _VERBS[control.verb](known, control, catalogue)
        if known is None and len(floor.deployments) >= INSTANCES_MAX:
            raise Refused(StrategyCode.TOO_MANY, f"{INSTANCES_MAX} instances are deployed already")
        if control.verb in (StrategyVerb.DEPLOY, StrategyVerb.CHANGE):
            held = _held(deployment, catalogue)
    except Refused as refused:
        return msgspec.structs.replace(floor, requests=requests, news=_with_news(floor, control, known, held, refused))
    return Floor(
        now_us=floor.now_us,
        deployments={**floor.deployments, deployment.strategy_id: deployment},
        on_instrument=_indexed(floor, known, deployment),
        news=_with_news(floor, control, deployment, held),
        requests=requests,
    )


def told(error: Exception) -> str:
    """The error in words that are the same in every process: without addresses, and not too many."""
    return _ADDRESS.sub("0x", f"{type(error).__name__}: {error}")[:DETAIL_LENGTH_MAX]


def values_of(strategy_name: str, parameters: Sequence[Parameter], catalogue: Catalogue) -> dict[str, Value]:
    """All parameters of an instance, common ones included. Raises Refused."""
    plugin = catalogue.get(strategy_name)
    if plugin is None:
        raise Refused(
            StrategyCode.UNKNOWN_STRATEGY, f"{strategy_name[:64]!r} is not installed; there are {', '.join(catalogue)}"
        )
    try:
        values = parameters_of((*COMMON, *plugin.declares), parameters)
        plugin.begin(values)
    except BadParameter as error:
        raise Refused(StrategyCode.BAD_PARAMETER, str(error)) from error
    except Exception as error:  # a plug-in may raise anything, and none of it may stop the room
        raise Refused(StrategyCode.RAISED, told(error)) from error
    return values


def _deploy(known: Deployment | None, control: StrategyControl, catalogue: Catalogue) -> Deployment:
    if known is not None and known.standing is not Standing.STOPPED:
        raise Refused(StrategyCode.ALREADY_DEPLOYED, f"{control.strategy_id} is {known.standing}; stop it first")
    values_of(control.strategy_name, control.parameters, catalogue)
    return Deployment(
        strategy_id=control.strategy_id,
        strategy_name=control.strategy_name,
        instrument_id=control.instrument_id,
        account_id=control.account_id,
        parameters=tuple(control.parameters),
        standing=Standing.RUNNING,
        deployed=known.deployed + 1 if known is not None else 1,
    )


def _alive(known: Deployment | None, control: StrategyControl) -> Deployment:
    if known is None or known.standing is Standing.STOPPED:
        raise Refused(StrategyCode.UNKNOWN_INSTANCE, f"{control.strategy_id[:64]!r} is not deployed")
    return known


def _pause(known: Deployment | None, control: StrategyControl, catalogue: Catalogue) -> Deployment:
    return msgspec.structs.replace(_alive(known, control), standing=Standing.PAUSED)


def _resume(known: Deployment | None, control: StrategyControl, catalogue: Catalogue) -> Deployment:
    alive = _alive(known, control)
    return msgspec.structs.replace(alive, standing=Standing.RUNNING, resumed=alive.resumed + 1)


def _stop(known: Deployment | None, control: StrategyControl, catalogue: Catalogue) -> Deployment:
    return msgspec.structs.replace(_alive(known, control), standing=Standing.STOPPED)


def _change(known: Deployment | None, control: StrategyControl, catalogue: Catalogue) -> Deployment:
    """Parameters that are not given keep their value."""
    alive = _alive(known, control)
    merged = {parameter.name: parameter for parameter in (*alive.parameters, *control.parameters)}
    parameters = tuple(merged.values())
    values_of(alive.strategy_name, parameters, catalogue)
    return msgspec.structs.replace(alive, parameters=parameters, generation=alive.generation + 1)


_VERBS: dict[StrategyVerb, Callable[[Deployment | None, StrategyControl, Catalogue], Deployment]] = {
    StrategyVerb.DEPLOY: _deploy,
    StrategyVerb.PAUSE: _pause,
    StrategyVerb.RESUME: _resume,
    StrategyVerb.STOP: _stop,
    StrategyVerb.CHANGE: _change,
}
_SAID: dict[StrategyVerb, StrategyChange] = {
    StrategyVerb.DEPLOY: StrategyChange.DEPLOYED,
    StrategyVerb.PAUSE: StrategyChange.PAUSED,
    StrategyVerb.RESUME: StrategyChange.RESUMED,
    StrategyVerb.STOP: StrategyChange.STOPPED,
    StrategyVerb.CHANGE: StrategyChange.CHANGED,
}


def _held(deployment: Deployment, catalogue: Catalogue) -> tuple[Parameter, ...]:
    """Every parameter with its value, defaults included."""
    values = values_of(deployment.strategy_name, deployment.parameters, catalogue)
    return tuple(Parameter(name=name, value=str(value)) for name, value in values.items())


def _with_news(
    floor: Floor,
    control: StrategyControl,
    deployment: Deployment | None,
    held: tuple[Parameter, ...],
    refused: Refused | None = None,
) -> dict[str, tuple[News, ...]]:
    """All news, with that of this request at the instrument it concerns."""
    instrument_id = deployment.instrument_id if deployment is not None else control.instrument_id or NOWHERE
    before = floor.news.get(instrument_id, ())
    news = News(
        number=before[-1].number + 1 if before else 1,
        strategy_id=control.strategy_id,
        strategy_name=deployment.strategy_name if deployment is not None else control.strategy_name,
        account_id=deployment.account_id if deployment is not None else control.account_id,
        change=_SAID[control.verb] if refused is None else StrategyChange.REFUSED,
        request_id=control.request_id,
        author=control.author,
        code=None if refused is None else refused.code,
        detail=control.reason if refused is None else str(refused),
        parameters=held,
    )
    return {**floor.news, instrument_id: (*before, news)[-NEWS_KEPT:]}


def _indexed(floor: Floor, known: Deployment | None, deployment: Deployment) -> dict[str, tuple[str, ...]]:
    """Strategy ids by instrument."""
    index = dict(floor.on_instrument)
    if known is not None and known.instrument_id != deployment.instrument_id:
        index[known.instrument_id] = tuple(
            strategy_id for strategy_id in index[known.instrument_id] if strategy_id != known.strategy_id
        )
    here = index.get(deployment.instrument_id, ())
    index[deployment.instrument_id] = tuple(sorted({*here, deployment.strategy_id}))
    return index
