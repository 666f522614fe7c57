"""From settings to the values that the processes are built of."""

from collections.abc import Callable
from urllib.parse import urlsplit

from dotenv import load_dotenv

from config.collector import calm_collector
from config.logging import configure_logging
from config.settings import Settings, SettingsError, load_settings
from crm_store.database import DatabaseOptions, is_url
from crm_store.secrets import SecretBox
from ingest.adapters.signatures import sign
from worker.alerting import Receiver
from worker.sentinel import SentinelUrlError, split_sentinel_url

MACHINE_FILE = "machine.env"
"""In the data folder of a running `openchannel up`: how other commands on this machine reach its servers."""


def process_settings(process: str, *needed: Callable[[Settings], object]) -> Settings:
    """Settings of one of the processes, with its logging set up.

    needed: functions of this module whose settings the process cannot do without. Raises SettingsError that names
    all that is missing at once.
    """
    settings = load_settings()
    problems = [problem for need in needed if (problem := _problem(need, settings))]
    if problems:
        raise SettingsError("\n".join(problems))
    configure_logging(settings.log.format, settings.log.level, process)
    calm_collector()
    return settings


def _problem(need: Callable[[Settings], object], settings: Settings) -> str:
    try:
        need(settings)
    except SettingsError as error:
        return str(error)
    return ""


def database_url(settings: Settings) -> str:
    """Raises SettingsError."""
    if settings.database.url is None:
        raise SettingsError(_missing("OPENCHANNEL_DATABASE__URL", "postgresql://user:password@host:5432/openchannel"))
    url = settings.database.url.get_secret_value()
    if not is_url(url):
        raise SettingsError(
            "OPENCHANNEL_DATABASE__URL: cannot be read as postgresql://user:password@host:port/name; "
            "write @, / and : of a password as %40, %2F and %3A"
        )
    return url


def database_options(settings: Settings, process: str, *, by_index: bool = False) -> DatabaseOptions:
    """How this process reaches PostgreSQL. by_index: see there. Raises SettingsError."""
    given = settings.database
    return DatabaseOptions(
        url=database_url(settings),
        application_name=f"openchannel {process}",
        pool_size=given.pool_size,
        statement_timeout=given.statement_timeout,
        lock_timeout=given.lock_timeout,
        idle_in_transaction_timeout=given.idle_in_transaction_timeout,
        by_index=by_index,
    )


def broker_url(settings: Settings) -> str:
    """Raises SettingsError."""
    if settings.broker.url is None:
        raise SettingsError(_missing("OPENCHANNEL_BROKER__URL", "redis://:password@host:6379/0"))
    url = settings.broker.url.get_secret_value()
    try:
        split_sentinel_url(url)
    except SentinelUrlError as error:
        raise SettingsError(f"OPENCHANNEL_BROKER__URL: {error}") from error
    return url


def secret_box(settings: Settings) -> SecretBox:
    """Raises SettingsError and SecretKeyError."""
    key = secret_key(settings)
    if key is None:
        raise SettingsError(_missing("OPENCHANNEL_SECRET_KEY", "32 random bytes in urlsafe base64"))
    return SecretBox(key)


def secret_key(settings: Settings) -> str | None:
    """The secret keys as given, or those of the file that is named; None if neither is. Raises SettingsError."""
    file = settings.secret_key_file
    if file is None:
        return settings.secret_key.get_secret_value() if settings.secret_key else None
    if settings.secret_key is not None:
        raise SettingsError("OPENCHANNEL_SECRET_KEY and OPENCHANNEL_SECRET_KEY_FILE are both set; keep one of them")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = (error.strerror if isinstance(error, OSError) else "") or "it is not a text in UTF-8"
        raise SettingsError(f"OPENCHANNEL_SECRET_KEY_FILE: {file} cannot be read: {said}") from error


def api_token(settings: Settings) -> str:
    """Raises SettingsError."""
    if settings.api_token is None:
        raise SettingsError(_missing("OPENCHANNEL_API_TOKEN", "a long random text"))
    return settings.api_token.get_secret_value()


def alert_receiver(settings: Settings) -> Receiver | None:
    """Who is told of alerts; None if nobody is. Raises SettingsError."""
    url, secret = settings.alerts.url, settings.alerts.secret
    if url is None or not url.get_secret_value():
        return None
    if urlsplit(url.get_secret_value()).scheme not in ("http", "https"):
        raise SettingsError("OPENCHANNEL_ALERTS__URL: must begin with https:// or http://")
    if secret is None or not secret.get_secret_value():
        raise SettingsError(
            "OPENCHANNEL_ALERTS__SECRET: must be set with OPENCHANNEL_ALERTS__URL, because alerts are signed: whsec_ "
            "and 24 or more random bytes in base64, which the receiver knows too"
        )
    try:
        sign(secret.get_secret_value(), "", 0, b"")
    except ValueError as error:
        raise SettingsError(f"OPENCHANNEL_ALERTS__SECRET: {error}") from error
    return Receiver(url.get_secret_value(), secret.get_secret_value())


def on_this_machine(settings: Settings) -> Settings:
    """The settings; where no database is named, those of the `openchannel up` that runs on the data folder."""
    if settings.database.url is None:
        load_dotenv(settings.data_dir / MACHINE_FILE, override=False)
        settings = load_settings()
    return settings


def _missing(name: str, example: str) -> str:
    return f"{name}: must be set for this process, e.g. {example}; or run `openchannel up`, which sets it by itself"
