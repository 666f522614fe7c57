"""Settings of all processes, read from `OPENCHANNEL_*` variables and `.env`.

Only composition roots (the modules of `cli`) import this module; everything below gets plain values.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

PREFIX = "OPENCHANNEL_"
DELIMITER = "__"


class SettingsError(Exception):
    """The settings cannot be used. The message names every bad or unknown one and says what to do."""


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(_Group):
    """PostgreSQL, the truth of the system."""

    url: SecretStr | None = Field(None, description="postgresql://user:password@host:port/name; embedded if none")
    pool_size: int = Field(6, ge=1, le=100, description="connections that a web process keeps at the most")
    statement_timeout: float = Field(30.0, gt=0, description="seconds")
    lock_timeout: float = Field(5.0, gt=0, description="seconds")
    idle_in_transaction_timeout: float = Field(
        10.0, gt=0, description="seconds; a stopped process then loses its locks"
    )


class BrokerSettings(_Group):
    """Redis, Valkey or RabbitMQ, which carries hints that may be lost at any moment."""

    url: SecretStr | None = Field(
        None,
        description="redis://:password@host:port/db, sentinel:// (docs/scaling.md), or for RabbitMQ "
        "amqp://user:password@host:port/vhost; embedded if not given",
    )
    visibility_timeout: float = Field(
        60.0, ge=1, description="seconds that work waits until it is hinted although tasks of its step are queued"
    )


class WebSettings(_Group):
    """The web process: webhooks, the operators' API, health and metrics."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="0 takes a free one")
    public_url: str = Field("", description="how providers reach us, https://desk.example.org; empty: as requested")
    body_limit: int = Field(4 * 1024 * 1024, ge=1024, description="bytes of a webhook's body")
    accept_window: float = Field(0.02, ge=0, le=1, description="seconds between two commits in a crowd")
    accept_limit: int = Field(500, ge=1, le=5000, description="messages in one group commit")
    accept_backlog: int = Field(20_000, ge=1, description="messages that may wait for a commit before 503")


class WorkerSettings(_Group):
    """The Celery workers."""

    processes: int = Field(2, ge=1, le=256, description="solo workers that `openchannel up` starts, best one per core")
    batch_limit: int = Field(500, ge=1, le=5000, description="inbox items that one task takes")
    retry_for: float = Field(60.0, ge=0, description="seconds from an item's first failure to its dead letter")
    delivery_timeout: float = Field(8.0, gt=0, le=25, description="seconds for one call of a channel's API")
    delivery_retry_for: float = Field(3600.0, ge=0, description="seconds from a delivery's first try to giving up")


class ClockSettings(_Group):
    """The clock: the sweeper and retention."""

    interval: float = Field(0.5, gt=0, le=60, description="seconds between two looks")
    stale_after: float = Field(2.0, ge=0, description="seconds that an item may wait before its step is hinted again")
    key_retention_days: int = Field(30, ge=8, description="days for which a webhook's key is remembered")


class RetentionSettings(_Group):
    """What the clock deletes because it is old; docs/privacy.md."""

    raw_days: int = Field(30, ge=1, description="days for which finished inbox items are kept, as providers sent them")
    dead_letter_days: int | None = Field(
        None, ge=1, description="days for which dead letters are kept; for ever if not given"
    )
    history_days: int | None = Field(
        None, ge=1, description="days for which messages stay in the histories; for ever if not given"
    )
    event_days: int | None = Field(
        None,
        ge=1,
        description="days for which events and decisions of closed dialogs, and events of presence, are kept; "
        "for ever if not given",
    )
    audit_days: int | None = Field(
        None,
        ge=1,
        description="days for which the audit of administrators' acts, and the history of replays, are kept; "
        "for ever if not given",
    )


class AlertsSettings(_Group):
    """Who is told when something goes wrong; docs/operating.md."""

    url: SecretStr | None = Field(
        None, description="where alerts are posted, as Standard Webhooks; if not given they are only logged"
    )
    secret: SecretStr | None = Field(
        None, description="with which alerts are signed: base64, with or without `whsec_`; needed with the URL"
    )
    rate: int = Field(60, ge=1, description="dead letters of one minute that are worth an alert")
    every: float = Field(600.0, ge=0, description="seconds at least between two alerts of many dead letters")


class LogSettings(_Group):
    """structlog's output."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: colours in a terminal, JSON elsewhere"
    )
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="of what is logged, at least")


class Settings(BaseSettings):
    """All settings; a nested one is named `OPENCHANNEL_WEB__PORT`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, env_file=".env", extra="ignore", frozen=True
    )

    data_dir: Path = Field(Path(".data"), description="folder of the embedded servers, logs and generated secrets")
    secret_key: SecretStr | None = Field(
        None,
        description="32 bytes, urlsafe base64; encrypts channel secrets and hashes external ids; several keys go "
        "between commas: the first encrypts, the last hashes",
    )
    secret_key_file: Path | None = Field(None, description="instead: a file with the keys, one on each line")
    api_token: SecretStr | None = Field(None, description="bearer token of the service role, for the look-up API")
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    web: WebSettings = WebSettings()
    worker: WorkerSettings = WorkerSettings()
    clock: ClockSettings = ClockSettings()
    retention: RetentionSettings = RetentionSettings()
    alerts: AlertsSettings = AlertsSettings()
    log: LogSettings = LogSettings()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` go before the environment.

    Raises SettingsError that names all bad and all unknown settings at once.
    """
    problems = {f"{name}: {_NO_SETTING}" for name in _unknown_names()}
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        for detail in error.errors(include_input=False):
            name = PREFIX + DELIMITER.join(str(part) for part in detail["loc"]).upper()
            problems.add(f"{name}: {_NO_SETTING if detail['type'] == 'extra_forbidden' else detail['msg']}")
    except SourceError as error:  # a whole group, given at once, that is no JSON
        problems.add(str(error))
    if problems:
        raise SettingsError("\n".join(sorted(problems)))
    return settings


_NO_SETTING = "not a setting of openchannel; see docs/settings.md"


def describe_settings() -> Iterator[tuple[str, str, str]]:
    """Variable, default and meaning of every setting."""
    for name, field in _fields(Settings):
        default = "" if field.default is None or field.default == "" else f"`{field.default}`"
        yield PREFIX + name.upper(), default, field.description or ""


def _known_names() -> set[str]:
    # A whole group may also be given at once, as JSON.
    groups = {name for name, field in Settings.model_fields.items() if _group_of(field)}
    return {PREFIX + name.upper() for name in (*groups, *(name for name, _ in _fields(Settings)))}


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        group = _group_of(field)
        if group is None:
            yield name, field
        else:
            yield from ((f"{name}{DELIMITER}{inner}", inner_field) for inner, inner_field in _fields(group))


def _group_of(field: FieldInfo) -> type[_Group] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, _Group) else None


def _unknown_names() -> list[str]:
    given = {name.upper() for name in (*os.environ, *dotenv_values(".env")) if name.upper().startswith(PREFIX)}
    # The test suite's own variables say where its servers are; they never reach a product process's settings.
    return sorted(name for name in given - _known_names() if not name.startswith(PREFIX + "TEST_"))
