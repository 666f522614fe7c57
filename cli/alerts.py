"""`openchannel alerts`: whether alerts reach somebody."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer

from cli.composition import alert_receiver
from cli.refusals import RefusedError
from config.settings import SettingsError, load_settings
from crm_store.alerts import AlertKind, LeasedAlert
from worker.alerting import send

alerts = typer.Typer(no_args_is_help=True, help="Alerts: who is told when something goes wrong.")


@alerts.command("test")
def send_test_command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Send a test alert, and say what its receiver answers. Exit code 1 if he does not take it."""
    receiver = alert_receiver(load_settings())
    if receiver is None:
        raise SettingsError("OPENCHANNEL_ALERTS__URL: must be set to send alerts; without it they are only logged")
    now = datetime.now(UTC)
    alert = LeasedAlert(
        id=0,
        message_id=str(uuid4()),
        at=now,
        kind=AlertKind.TEST,
        subject="a test alert: nothing has happened",
        details="{}",
        attempts=1,
        first_tried_at=now,
        now=now,
    )
    answer = send(receiver, alert)
    if as_json:
        told = {"webhook_id": alert.message_id, "taken": not answer.error, "status": answer.status}
        sys.stdout.write(json.dumps({**told, "error": answer.error, "body": answer.body}) + "\n")
        raise typer.Exit(1 if answer.error else 0)
    if answer.error:
        said = f": {' '.join(answer.body.split())}" if answer.body.strip() else ""
        raise RefusedError(f"the receiver did not take the test alert {alert.message_id}: {answer.error}{said}")
    sys.stdout.write(f"the receiver took the test alert {alert.message_id}: HTTP {answer.status}\n")
