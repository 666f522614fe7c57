"""The clock process."""

import signal
import threading

from cli.composition import alert_receiver, broker_url, database_options, database_url, process_settings, secret_box
from crm_store.database import Session
from crm_store.retention import RetentionOptions
from worker.alert_watch import AlertThresholds
from worker.alerting import AlertSender
from worker.app import make_app
from worker.clock import Clock, ClockOptions
from worker.hints import Hints
from worker.replaying import Replaying

LONGEST_STOP = 2.0
"""Seconds for which the end waits for an alert that is being sent; what is not is sent again, by whoever is there."""


def clock_command() -> None:
    """Tick until SIGTERM."""
    settings = process_settings("clock", database_url, broker_url, secret_box, alert_receiver)
    options = ClockOptions(
        interval=settings.clock.interval,
        stale_after=settings.clock.stale_after,
        visibility_timeout=settings.broker.visibility_timeout,
        key_retention_days=settings.clock.key_retention_days,
        retention=RetentionOptions(
            raw_days=settings.retention.raw_days,
            dead_letter_days=settings.retention.dead_letter_days,
            history_days=settings.retention.history_days,
            event_days=settings.retention.event_days,
            audit_days=settings.retention.audit_days,
        ),
        alerts=AlertThresholds(settings.alerts.rate, settings.alerts.every),
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    session = Session(database_options(settings, "clock"))
    hints = Hints(make_app(broker_url(settings), settings.broker.visibility_timeout))
    sender = AlertSender(Session(database_options(settings, "clock")), alert_receiver(settings))
    sending = threading.Thread(target=sender.run, args=(stop,), name="alerts", daemon=True)
    sending.start()
    try:
        replaying = Replaying(session, hints, secret_box(settings))
        Clock(session, hints, options, [replaying.look]).run(stop)
    finally:
        stop.set()
        sending.join(LONGEST_STOP)
        session.close()
