"""One machine with a demo desk: synthetic customers and operators over real HTTP, and a live table."""

import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import httpx
import typer

from cli.demo_desk import DemoDesk, channel_of_kind, plan_desk, set_up_desk
from cli.demo_display import Display, display
from cli.demo_summary import Outcome, problems, summary
from cli.demo_table import Frame, as_svg
from cli.demo_watch import Watch
from cli.up import RunningMachine, running_machine
from config.logging import configure_logging
from config.settings import Settings, SettingsError, load_settings
from crm_store.database import DatabaseOptions, Session
from crm_store.secrets import SecretBox
from loadgen.callbacks import CallbackServer
from loadgen.customers import Customers
from loadgen.operators import Operators
from loadgen.traffic import Traffic
from loadgen.world import World
from runtime.errors import ChildFailedError, StopRequestedError

LOOK_SECONDS = 1.0
QUICK_LOOK_SECONDS = 0.25
WEBHOOK_SECONDS = 15.0
DRAIN_SECONDS = 60.0
DELIVERY_SECONDS = 5.0


def demo_command(
    rate: Annotated[float, typer.Option(min=0.1, max=5000, help="Messages per second that customers write.")] = 40.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same customers.")] = 1,
    svg: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the live table, as it was, here.")] = None,
) -> None:
    """Run the demo until Ctrl-C, or for RUN_FOR seconds. Exit code 0 if all that was accepted is accounted for."""
    run_for = read_run_for(os.environ.get("RUN_FOR", ""))
    if svg is not None and not svg.absolute().parent.is_dir():
        raise SettingsError(f"--svg: there is no folder {svg.absolute().parent}")
    settings = load_settings()
    configure_logging(settings.log.format, settings.log.level, "demo")
    _say(f"Starting PostgreSQL, Valkey and our processes; data and logs are in {settings.data_dir}/")
    try:
        with running_machine(settings) as machine:
            outcome, frame = _Demo(machine, settings, rate, seed).run(run_for)
            _say("Stopping")
    except StopRequestedError:
        _say("Stopped before it was ready")
        return
    if svg is not None:
        svg.write_text(as_svg(frame, "make run"), encoding="utf-8")
    _say(summary(outcome))
    raise typer.Exit(1 if problems(outcome) else 0)


def read_run_for(written: str) -> float | None:
    """Seconds after which the demo ends by itself; None if it does not. Raises SettingsError."""
    if not written.strip():
        return None
    try:
        seconds = float(written)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise SettingsError(f"RUN_FOR: must be a number of seconds above 0, as RUN_FOR=30; it is {written!r}")
    return seconds


class _Demo:
    """A demo on a running machine."""

    def __init__(self, machine: RunningMachine, settings: Settings, rate: float, seed: int) -> None:
        self._machine = machine
        self._supervisor = machine.supervisor
        self._rate = rate
        self._seed = seed
        self._token_from = (
            "OPENCHANNEL_API_TOKEN" if settings.api_token else f"api_token in {settings.data_dir / 'secrets.json'}"
        )

    def run(self, run_for: float | None) -> tuple[Outcome, Frame]:
        """Returns how it ended, and the last frame with customers in it."""
        machine, desk = self._machine, plan_desk(self._machine.secret_key)
        with ExitStack() as stack:
            callbacks = stack.enter_context(CallbackServer(channel_of_kind(desk, "custom").secrets[0]))
            self._set_up(desk, callbacks.url)
            self._wait_for_webhooks(desk)
            # The run's number makes its messages new ones; nobody begins two runs on the same data in one second.
            world = World(self._seed, int(time.time()), self._rate, desk.channels)
            traffic = Traffic(Customers(machine.web_url, world), Operators(machine.web_url, desk.operators, self._seed))
            watch = Watch(machine, callbacks, traffic.customers.sent, self._token_from)
            stack.callback(watch.close)
            before = watch.look("starting").overview.ledger
            stack.callback(traffic.end)
            shown = stack.enter_context(display())
            traffic.start()
            frame = self._show_while(lambda: True, watch, shown, "running", traffic, run_for or math.inf)
            # A signal or a failure ends it at once; otherwise everything that is under way comes to its end first.
            if run_for is not None:
                traffic.end_customers()
                self._show_while(lambda: _drains(traffic, watch), watch, shown, "draining", traffic, DRAIN_SECONDS)
            interrupted = self._supervisor.stop_requested
            traffic.end()
            self._show_while(lambda: _delivers(watch), watch, shown, "last answers", traffic, DELIVERY_SECONDS)
            last = watch.look("ended")
            shown.show(last)
            return (
                Outcome(
                    seconds=watch.seconds,
                    interrupted=interrupted,
                    current=watch.current,
                    before=before,
                    overview=last.overview,
                    sent=traffic.customers.sent,
                    acts=traffic.operators.acts,
                    deliveries=last.deliveries,
                    restarts=sum(process.restarts for process in last.processes),
                    failure=repr(traffic.failure) if traffic.failure else "",
                ),
                frame,
            )

    def _show_while(
        self, goes_on: Callable[[], bool], watch: Watch, shown: Display, phase: str, traffic: Traffic, seconds: float
    ) -> Frame:
        """Show frames and look after the processes, for so long at the most; returns the last frame."""
        deadline = time.monotonic() + seconds
        frame = watch.look(phase)
        while not self._supervisor.stop_requested and traffic.failure is None and goes_on():
            shown.show(frame)
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._supervisor.wait(min(left, watch.pause(LOOK_SECONDS if phase == "running" else QUICK_LOOK_SECONDS)))
            frame = watch.look(phase)
        return frame

    def _set_up(self, desk: DemoDesk, callback_url: str) -> None:
        session = Session(DatabaseOptions(self._machine.database_url, "openchannel demo"))
        try:
            with session.transaction() as connection:
                set_up_desk(connection, SecretBox(self._machine.secret_key), desk, callback_url)
        finally:
            session.close()

    def _wait_for_webhooks(self, desk: DemoDesk) -> None:
        """Make the call by which Meta connects a number; when it is answered, the web process knows the desk."""
        channel = channel_of_kind(desk, "whatsapp")
        query = {
            "hub.mode": "subscribe",
            "hub.verify_token": str(channel.config["verify_token"]),
            "hub.challenge": "ready",
        }
        url, deadline = f"{self._machine.web_url}/webhooks/{channel.key}", time.monotonic() + WEBHOOK_SECONDS
        answer = ""
        while answer != "ready" and time.monotonic() < deadline:
            try:
                answer = httpx.get(url, params=query, timeout=5, trust_env=False).text
            except httpx.TransportError as error:
                answer = repr(error)
            self._supervisor.wait(0.2)
            if self._supervisor.stop_requested:
                raise StopRequestedError("the end was asked for while the desk was being set up")
        if answer != "ready":
            raise ChildFailedError(f"web does not answer webhooks at {url}: {answer[:500]}")


def _drains(traffic: Traffic, watch: Watch) -> bool:
    return not (traffic.customers_done and watch.current and watch.overview.ledger.pending == 0)


def _delivers(watch: Watch) -> bool:
    return not watch.current or watch.overview.deliveries.get("pending", 0) > 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
