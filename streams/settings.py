"""Settings: read once, at the edge, by whoever starts a process. Rooms never see them.

Flags win over environment variables `QL_*`, these over a TOML file, these over the defaults here. A name that nobody
knows is refused: a misspelt limit must not pass in silence.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from connectors.brokers.opening import BrokerOptions
from schemas.control import Mode

PREFIX = "QL_"
FILE_NAME = "quantumleap.toml"
_NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}$")


class WrongSettings(Exception):
    """Settings that cannot be used; each line says which, why and what to do."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """Every setting of every process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, arbitrary_types_allowed=True)

    environment: str = Field("local", description="names every topic, group, transactional id and database")
    mode: Mode = Field(Mode.REPLAY, description="must equal the mode that the environment was made with")
    folder: Path = Field(Path(".quantumleap"), description="where the embedded servers and local state live")
    bootstrap_servers: str = Field("", description="Kafka; empty starts or finds the embedded broker")
    registry_url: str = Field("", description="schema registry; empty starts or finds the embedded one")
    clickhouse_url: str = Field("", description="ClickHouse over HTTP; empty starts or finds the embedded one")
    clickhouse_user: str = Field("default", description="who writes and reads ClickHouse")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="its password")
    kafka_dir: Path | None = Field(None, description="an unpacked Apache Kafka to use instead of a download")
    kafka_port: int | None = Field(None, ge=0, le=65535, description="embedded broker; empty: 19092 or a free one")
    registry_port: int | None = Field(None, ge=0, le=65535, description="embedded registry; empty: 18081 or a free one")
    clickhouse_port: int | None = Field(
        None, ge=0, le=65535, description="embedded ClickHouse; empty: 18123 or a free one"
    )
    health_port: int = Field(18080, ge=0, le=65535, description="where a worker answers health and metrics")
    traces_url: str = Field("", description="OpenTelemetry collector, https://host:4318/v1/traces; empty: no traces")
    group_protocol: str = Field("classic", pattern="^(classic|consumer)$", description="consumer is KIP-848")
    fixed_membership: bool = Field(True, description="keep partitions over a restart of the same slot")
    session_ms: int = Field(6000, ge=1000, description="a worker silent for so long loses its partitions")
    replication: int = Field(1, ge=1, le=5, description="copies of every topic; 3 in production")
    slot: str = Field("w0", description="stable name of this worker: its transactional id and membership")
    live_venue: str = Field("", description="must be typed to equal the venue before live trading starts")
    brokers: dict[str, BrokerOptions] = Field(
        default_factory=dict, description="by venue: kind, accounts, where their keys are; empty is a paper venue"
    )
    reconcile_s: float = Field(30.0, gt=0, description="how often an account is held against its broker's books")

    @field_validator("environment")
    @classmethod
    def _environment_is_a_name(cls, value: str) -> str:
        if not _NAME.match(value):
            raise ValueError("use lowercase letters, digits and dashes, at most 31, beginning with a letter")
        return value

    @field_validator("mode", mode="before")
    @classmethod
    def _mode_in_any_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("brokers", mode="before")
    @classmethod
    def _brokers_as_tables_or_text(cls, value: Any) -> Any:
        """A table of the settings file, or the same as JSON in the environment. Messages tell no values."""
        wanted = dict[str, BrokerOptions]
        try:
            return msgspec.json.decode(value, type=wanted) if isinstance(value, str) else msgspec.convert(value, wanted)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over: it has merged all sources and knows each value's origin."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each value came from."""

    settings: Settings
    origins: Mapping[str, str]


def load(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None, file: Path | None = None) -> Loaded:
    """Merge flags, environment, file and defaults. Flags that are None were not given.

    Raises WrongSettings with a line for each problem: an unknown name, a wrong value, an unreadable file.
    """
    environ = os.environ if environ is None else environ
    known = set(Settings.model_fields)
    values: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    problems: list[str] = []
    for name, value in _file_values(file, environ).items():
        if name not in known:
            problems.append(f"{name} in the settings file is not a setting{_nearest(name, known)}")
        values[name], origins[name] = value, f"file {file or FILE_NAME}"
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in ("QL_SETTINGS", "QL_TEST_SHARED"):
            continue
        name = variable[len(PREFIX) :].lower()
        if name not in known:
            problems.append(f"{variable} is not a setting{_nearest(name, known)}; unset it or correct its name")
            continue
        values[name], origins[name] = text, f"environment {variable}"
    for name, value in flags.items():
        if value is not None:
            values[name], origins[name] = value, f"flag --{name.replace('_', '-')}"
    if problems:
        raise WrongSettings(problems)
    try:
        return Loaded(Settings(**values), origins)
    except ValidationError as error:
        raise WrongSettings(
            [
                f"{'.'.join(str(part) for part in problem['loc'])} = {_shown(problem)} "
                f"({origins.get(str(problem['loc'][0]), '?')}): {problem['msg']}"
                for problem in error.errors()
            ]
        ) from error


def _shown(problem: Any) -> str:
    """The value that is wrong. Never of brokers: somebody may have written a key where its file's name belongs."""
    return "***" if problem["loc"][0] == "brokers" else repr(problem["input"])


def _file_values(file: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    named = file or (Path(environ["QL_SETTINGS"]) if "QL_SETTINGS" in environ else None)
    path = named or Path(FILE_NAME)
    try:
        with path.open("rb") as opened:
            return tomllib.load(opened)
    except FileNotFoundError:
        if named:
            raise WrongSettings([f"settings file {path} does not exist; create it or leave the name out"]) from None
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise WrongSettings([f"settings file {path} cannot be read: {error}"]) from error


def _nearest(name: str, known: set[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only where something is wrong

    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""
