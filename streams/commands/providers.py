"""`provider`: who may publish signals, what they are good for, and with which key they must be signed."""

from enum import StrEnum
from typing import Annotated

import typer

from streams.commands.connections import (
    AuthorOption,
    RequestOption,
    author_of,
    checked,
    connect,
    now_of,
    request_of,
)
from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json

provider = group("Providers of signals: introduce them, change their standing, make keys.")

SECOND_US = 1_000_000
NEW_RATE, NEW_VALID_FOR_S = 60, 3_600
"""Of a provider that is not known and of whom nothing else is said."""
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The provider's id, as its signals say it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]


class RoleWord(StrEnum):
    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"
    MUTED = "muted"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(provider, name="provider")


@provider.command("set")
def set_standing(
    provider_id: IdArgument,
    role: Annotated[RoleWord, typer.Option("--role", help="What its signals are good for.")],
    reason: ReasonOption,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Signals accepted in a minute, for each instrument.  [default: as many as before; 60 for a new one]",
        ),
    ] = None,
    valid_for: Annotated[
        int | None,
        typer.Option(min=1, help="Longest validity accepted, seconds.  [default: as before; 3600 for a new one]"),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option("--public-key", help="With which its signals must be signed.  [default: the one it has, if any]"),
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Ask for no signatures any more.")] = False,
    author: AuthorOption = None,
    request_id: RequestOption = None,
    as_json: AsJson = False,
) -> None:
    """Introduce a provider, or say its standing anew: what is not said of rate, validity and key stays as it was."""
    from schemas.edge import to_jsonable  # noqa: PLC0415 - help must be quick
    from schemas.signal import ProviderControl  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415

    _require_key(public_key, no_key)
    found = connect(settings())
    control = checked(
        ProviderControl,
        {
            "event_time_us": now_of(found, found.settings.mode),
            "request_id": request_of(request_id),
            "provider_id": provider_id,
            "role": role.upper(),
            "rate_limit_per_minute": rate or NEW_RATE,
            "keep_rate": rate is None,
            "ttl_max_us": (valid_for or NEW_VALID_FOR_S) * SECOND_US,
            "keep_ttl": valid_for is None,
            "author": author_of(author),
            "reason": reason,
            "public_key": public_key,
            "keep_key": public_key is None and not no_key,
        },
    )
    source = Source(found.cluster, found.codec, found.environment, "control")
    try:
        source.write(control)
        source.flush()
    finally:
        source.close()
    signing = "signed signals only" if public_key else "no signatures are asked for" if no_key else "its key stays"
    say(f"✓ {provider_id} is {role}, {signing}: request {control.request_id} is in signals.inbox")
    if as_json:
        show_json(to_jsonable(control))


@provider.command()
def keys(as_json: AsJson = False) -> None:
    """Make a pair of keys: the private one is the provider's alone, and is kept nowhere."""
    from schemas.signing import new_keys  # noqa: PLC0415 - help must be quick

    private, public = new_keys()
    if as_json:
        show_json({"private_key": private, "public_key": public})
        return
    print(f"private_key {private}")
    print(f"public_key  {public}")
    say("next: the publisher gets signing_key=PRIVATE_KEY, the engine `provider set ... --public-key PUBLIC_KEY`")


def _require_key(text: str | None, none_wanted: bool) -> None:
    """Raises Stop for what is no key: its owner would be believed nothing."""
    from schemas.signing import is_key  # noqa: PLC0415 - help must be quick

    if text is not None and none_wanted:
        raise Stop("--public-key and --no-key exclude each other", next_step="say one of them", code=Exit.USAGE)
    if text is not None and not is_key(text):
        raise Stop(
            "--public-key is no Ed25519 key",
            why="it must be 32 bytes in Base64",
            next_step="make a pair with `quantumleap provider keys`; --no-key asks for no signatures",
            code=Exit.USAGE,
        )
