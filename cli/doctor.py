"""`openchannel doctor`: what is wrong, and what to do about it."""

import sys
from collections.abc import Iterator
from typing import Annotated

import orjson
import typer

from cli.composition import broker_url, database_options, on_this_machine, secret_box
from cli.diagnosis.broker import BrokerSeen, look_at_broker
from cli.diagnosis.database import look_at_disk, look_at_server, look_at_work
from cli.diagnosis.desk import look_at_channels, look_at_rosters, look_at_secrets
from cli.diagnosis.findings import Finding, Status, broken, ok, worst
from config.logging import configure_logging
from config.settings import Settings, SettingsError, load_settings
from crm_store import administration, desks, diagnosis
from crm_store.database import Connection, DatabaseOptions, Session
from crm_store.errors import DatabaseAwayError, StoreError
from crm_store.secrets import SecretKeyError
from crm_store.views import figures


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Look at everything. Exit code 1 if something is broken; warnings do not fail."""
    settings = on_this_machine(load_settings())
    configure_logging("json", "ERROR", "doctor")
    findings = list(examine(settings))
    status = worst(findings)
    if as_json:
        report = {"status": status, "findings": [finding.as_json() for finding in findings]}
        sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        sys.stdout.write("".join(map(_as_text, findings)))
    raise typer.Exit(1 if status is Status.BROKEN else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings. A server that is away is a finding; what cannot be looked at without it is left out."""
    seen = _broker(settings)
    yield from seen.findings
    yield from _database(settings, seen)
    yield from look_at_disk(settings.data_dir)


def _broker(settings: Settings) -> BrokerSeen:
    try:
        url = broker_url(settings)
    except SettingsError as error:
        return BrokerSeen((broken("broker", str(error), "set it, or start `openchannel up`"),))
    return look_at_broker(url)


def _database(settings: Settings, seen: BrokerSeen) -> Iterator[Finding]:
    try:
        options = database_options(settings, "doctor")
    except SettingsError as error:
        yield broken("postgresql", str(error), "set it, or start `openchannel up`")
        return
    session = Session(options)
    try:
        with session.transaction() as connection:
            yield from _with_database(connection, options, settings, seen)
    except DatabaseAwayError as error:
        yield broken(
            "postgresql",
            f"PostgreSQL cannot be reached: {error}",
            "start it, or mend OPENCHANNEL_DATABASE__URL; webhooks answer 503 meanwhile, and providers come again",
        )
    except StoreError as error:
        yield broken("postgresql", f"PostgreSQL refuses: {error}", "report it: this is our defect")
    finally:
        session.close()


def _with_database(
    connection: Connection, options: DatabaseOptions, settings: Settings, seen: BrokerSeen
) -> Iterator[Finding]:
    yield from look_at_server(diagnosis.server(connection), options)
    missing = figures.missing_migrations(connection)
    if missing:
        yield broken("migrations", f"{', '.join(missing)} not applied", "run `openchannel migrate`")
        return
    yield ok("migrations", "the schema is up to date")
    yield from look_at_work(connection, seen.depths, seen.consumers)
    known = administration.read(connection)
    try:
        yield from look_at_secrets(secret_box(settings), known.channels.values())
    except (SettingsError, SecretKeyError) as error:
        yield broken("secrets", str(error), "mend it: the web process needs it, and the workers")
    yield from look_at_channels(known.channels.values())
    rosters = desks.read_rosters(connection, [one.id for one in known.open_channels.values()])
    yield from look_at_rosters(known, rosters, diagnosis.waiting(connection))


def _as_text(finding: Finding) -> str:
    status = finding.status.value if finding.status is Status.OK else finding.status.value.upper()
    text = f"{status:8} {finding.check}: {finding.finding}\n"
    return f"{text}{'':8} -> {finding.action}\n" if finding.action else text
