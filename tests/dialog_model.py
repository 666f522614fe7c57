"""A model of the life of dialogs (D2-D8, D11, S1-S4), written from the rules alone.

It does not say who gets a dialog: it is told what the product did, event by event, and raises an AssertionError where
no rule allows that, or where something is missing that a rule demands.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

SLACK = 3.0
"""Seconds by which the model's clocks may differ from the product's."""

HELD = ("accepted", "awaiting_customer", "awaiting_operator", "closing")
OPEN = ("queued", "offered", "assigned", *HELD)


@dataclass
class ModelOperator:
    """online, away, silent (no heartbeat any more), or with tracked time his workday (D6)."""

    id: int
    personal_limit: int | None = None
    tracked: bool = False
    online: bool = True
    away: bool = False
    silent: bool = False
    workday: str = "ended"
    dismissed: bool = False

    @property
    def there(self) -> bool:
        """Not gone: merely away and paused are there (D11)."""
        if self.dismissed:
            return False
        return self.workday != "ended" if self.tracked else self.online and not self.silent

    @property
    def available(self) -> bool:
        """D6."""
        return self.there and (self.workday == "started" if self.tracked else not self.away)


@dataclass
class ModelDesk:
    """An open channel. turns: of each operator the last first assignment, and the last assignment of any kind."""

    id: int
    policy: str
    roster: list[int]
    limit: int | None
    counted: str = "all"
    handover: float = 60
    unanswered: float | None = None
    close_after: float | None = None
    full_close: float = 0
    turn: int = 0
    turns: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass
class ModelDialog:
    """clocks: by kind, when they are due."""

    id: int
    chat: str
    desk: ModelDesk
    status: str = "queued"
    holder: int | None = None
    passed: set[int] = field(default_factory=set)
    first: bool = True
    answered: bool = False
    pinned: bool = False
    marked: bool = False
    told: bool = False
    spoke: bool = False
    others_since: float | None = None
    free_rider: bool = False
    clocks: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Happened:
    """An event of the product's log."""

    dialog_id: int
    desk_id: int
    actor: str
    cause: str
    was: str | None
    became: str
    was_holder: int | None
    holder: int | None
    chat: str


class Model:
    """now: seconds of the fake clock."""

    def __init__(self, operators: Iterable[ModelOperator], desks: Iterable[ModelDesk]) -> None:
        self.now = 0.0
        self.operators = {one.id: one for one in operators}
        self.desks = {one.id: one for one in desks}
        self.dialogs: dict[int, ModelDialog] = {}
        for desk in self.desks.values():
            desk.turns = dict.fromkeys(desk.roster, (0, 0))

    # What is so

    def open_of(self, chat: str) -> ModelDialog | None:
        return next((one for one in self.dialogs.values() if one.chat == chat and one.status != "closed"), None)

    def held_by(self, operator_id: int) -> list[ModelDialog]:
        return [one for one in self.dialogs.values() if one.holder == operator_id and one.status != "closed"]

    def queue_of(self, desk: ModelDesk) -> list[ModelDialog]:
        return sorted((d for d in self.dialogs.values() if d.desk is desk and d.status == "queued"), key=lambda d: d.id)

    def counts(self, dialog: ModelDialog) -> bool:
        """D7."""
        if dialog.holder is None or dialog.status == "closed":
            return False
        if dialog.status == "assigned":
            return True
        return {
            "all": True,
            "without_answered": not dialog.answered,
            "without_awaiting_customer": dialog.status != "awaiting_customer",
            "without_closing": dialog.status != "closing",
        }[dialog.desk.counted]

    def has_room(self, operator_id: int, desk: ModelDesk) -> bool:
        """D7: under both limits."""
        held = [one for one in self.held_by(operator_id) if self.counts(one)]
        personal = self.operators[operator_id].personal_limit
        here = sum(one.desk is desk for one in held)
        return (desk.limit is None or here < desk.limit) and (personal is None or len(held) < personal)

    def eligible(self, desk: ModelDesk, but: int | None = None) -> list[int]:
        """D6, D7: in the order of the roster."""
        return [one for one in desk.roster if one != but and self.operators[one].available and self.has_room(one, desk)]

    # What the product says has happened

    def happened(self, event: Happened) -> None:
        """Raises AssertionError where no rule allows it."""
        if event.was is None:
            assert (event.cause, event.became, event.holder) == ("message", "queued", None), event
            assert self.open_of(event.chat) is None, f"S1: a second open dialog: {event}"
            desk = self.desks[event.desk_id]
            dialog = self.dialogs[event.dialog_id] = ModelDialog(event.dialog_id, event.chat, desk)
            if desk.unanswered is not None:
                dialog.clocks["unanswered"] = self.now + desk.unanswered
            return
        dialog = self.dialogs[event.dialog_id]
        assert (event.was, event.was_holder) == (dialog.status, dialog.holder), f"S1: {event} in {dialog}"
        if event.cause in ("D2", "D3", "D4"):
            self._found(dialog, event)
        elif event.cause in ("handover", "skip", "kept"):
            self._handed_over(dialog, event)
        else:
            getattr(self, f"_{event.cause}")(dialog, event)
        assert (event.became, event.holder) == (dialog.status, dialog.holder), f"S1: {event} became {dialog}"

    def _found(self, dialog: ModelDialog, event: Happened) -> None:
        """D2-D4, D8."""
        assert dialog.status == "queued", event
        assert self.queue_of(dialog.desk)[0] is dialog, f"D8: it overtakes {self.queue_of(dialog.desk)[0]}"
        self._chosen(dialog, event, but=None)

    def _handed_over(self, dialog: ModelDialog, event: Happened) -> None:
        """D5."""
        assert dialog.status == "assigned", event
        if event.cause != "skip":
            self._went_off(dialog, "handover")
        others = self.eligible(dialog.desk, but=dialog.holder)
        if event.cause == "kept":
            older = [one for one in self.queue_of(dialog.desk) if one.id < dialog.id]  # they come first (D8)
            assert not others or older, f"D5: {others} could have it: {event}"
            assert not dialog.told, f"D5: told twice: {event}"
            dialog.told = True
            dialog.clocks["handover"] = self.now + dialog.desk.handover
            return
        assert dialog.holder is not None
        dialog.passed.add(dialog.holder)
        self._chosen(dialog, event, but=dialog.holder)

    def _chosen(self, dialog: ModelDialog, event: Happened, but: int | None) -> None:
        desk = dialog.desk
        eligible = self.eligible(desk, but)
        if desk.policy == "all":
            assert eligible, f"D4: nobody is eligible: {event}"
            assert event.holder is None, event
            dialog.status, dialog.holder, dialog.pinned = "offered", None, False
            dialog.clocks.pop("handover", None)
            return
        assert event.holder in eligible, f"D6, D7: {event.holder} is not eligible: {event}"
        if desk.policy == "evenly":
            which = 0 if dialog.first else 1
            oldest = min(eligible, key=lambda one: (desk.turns[one][which], desk.roster.index(one)))
            assert event.holder == oldest, f"D2: it was the turn of {oldest}: {event} {desk.turns}"
        else:
            fresh = [one for one in eligible if one not in dialog.passed]
            assert event.holder == (fresh or eligible)[0], f"D3: {event} {dialog.passed}"
            if not fresh:
                dialog.passed = set()
        desk.turn += 1
        turn, _ = desk.turns[event.holder]
        desk.turns[event.holder] = (desk.turn if dialog.first else turn, desk.turn)
        self._assign(dialog, event.holder)

    def _assign(self, dialog: ModelDialog, holder: int) -> None:
        dialog.status, dialog.holder, dialog.first, dialog.told = "assigned", holder, False, False
        dialog.free_rider = dialog.pinned = False
        dialog.clocks = {kind: due for kind, due in dialog.clocks.items() if kind == "unanswered"}
        dialog.clocks["handover"] = self.now + dialog.desk.handover

    def _hold(self, dialog: ModelDialog, event: Happened) -> None:
        assert event.holder is not None
        dialog.pinned &= dialog.holder == event.holder
        dialog.status = "awaiting_customer" if dialog.spoke else "accepted"
        dialog.holder, dialog.first, dialog.told = event.holder, False, False
        dialog.clocks = {kind: due for kind, due in dialog.clocks.items() if kind == "unanswered"}
        if dialog.spoke and dialog.desk.close_after is not None and not dialog.pinned:
            dialog.clocks["auto_close"] = self.now + dialog.desk.close_after

    def _queue(self, dialog: ModelDialog) -> None:
        dialog.status, dialog.holder, dialog.told, dialog.free_rider = "queued", None, False, False
        dialog.pinned = False
        dialog.clocks = {kind: due for kind, due in dialog.clocks.items() if kind == "unanswered"}

    def _went_off(self, dialog: ModelDialog, kind: str) -> None:
        assert kind in dialog.clocks, f"{kind} was not running: {dialog}"
        due = dialog.clocks.pop(kind)
        # Once he was told that he keeps it, it runs again and again without an event: nobody knows since when.
        assert due <= self.now + SLACK or dialog.told, f"{kind} was not due: {dialog}"

    # Causes, by name

    def _message(self, dialog: ModelDialog, event: Happened) -> None:
        """S1, S4."""
        counted, dialog.spoke = self.counts(dialog), False
        if dialog.status in ("awaiting_customer", "closing"):
            dialog.status = "awaiting_operator"
            dialog.clocks.pop("auto_close", None)
            dialog.clocks.pop("closing", None)
        dialog.free_rider |= self.counts(dialog) and not counted

    def _operator_unavailable(self, dialog: ModelDialog, event: Happened) -> None:
        """D11."""
        assert dialog.holder is not None
        assert dialog.status in HELD, event
        assert not self.operators[dialog.holder].there, event
        assert not dialog.pinned, event
        self._queue(dialog)

    def _workday_ended(self, dialog: ModelDialog, event: Happened) -> None:
        """D11."""
        assert dialog.holder is not None
        assert self.operators[dialog.holder].workday == "ended", event
        assert self.is_left(dialog), event
        self._queue(dialog)

    def _dismissed(self, dialog: ModelDialog, event: Happened) -> None:
        """D11."""
        assert dialog.holder is not None
        assert self.operators[dialog.holder].dismissed, event
        if dialog.status == "closing":
            dialog.status, dialog.clocks = "closed", {}
        else:
            self._queue(dialog)

    @staticmethod
    def is_left(dialog: ModelDialog) -> bool:
        """D11: what nobody has accepted, or answered."""
        return dialog.status in ("assigned", "accepted", "awaiting_operator")

    def _accept(self, dialog: ModelDialog, event: Happened) -> None:
        assert event.holder is not None
        if dialog.status == "offered":  # D4, D7
            assert event.holder in self.eligible(dialog.desk), event
        else:
            assert (dialog.status, dialog.holder) == ("assigned", event.holder), event
        self._hold(dialog, event)

    def _take(self, dialog: ModelDialog, event: Happened) -> None:
        assert event.holder is not None
        rides = not self.has_room(event.holder, dialog.desk)
        self._hold(dialog, event)
        dialog.free_rider = rides

    def _answer(self, dialog: ModelDialog, event: Happened) -> None:
        dialog.status, dialog.answered, dialog.spoke = "awaiting_customer", True, True
        dialog.clocks = {}
        if dialog.desk.close_after is not None and not dialog.pinned:
            dialog.clocks["auto_close"] = self.now + dialog.desk.close_after

    def _transfer(self, dialog: ModelDialog, event: Happened) -> None:
        """D10."""
        if event.holder is None:
            if event.desk_id != dialog.desk.id:
                dialog.desk, dialog.passed = self.desks[event.desk_id], set()
            elif dialog.holder is not None:
                dialog.passed.add(dialog.holder)
            self._queue(dialog)
            return
        rides = not self.has_room(event.holder, dialog.desk)
        passed = set() if dialog.holder is None else {dialog.holder}
        self._assign(dialog, event.holder)
        dialog.passed, dialog.free_rider = passed, rides

    def _close(self, dialog: ModelDialog, event: Happened) -> None:
        """S4."""
        if dialog.desk.full_close and dialog.status != "closing" and dialog.holder is not None:
            dialog.status = "closing"
            dialog.clocks = {"closing": self.now + dialog.desk.full_close}
        else:
            dialog.status, dialog.clocks = "closed", {}

    def _spam(self, dialog: ModelDialog, event: Happened) -> None:
        dialog.status, dialog.clocks = "closed", {}

    def _reopen(self, dialog: ModelDialog, event: Happened) -> None:
        assert self.open_of(dialog.chat) in (None, dialog), event
        if event.holder is None:
            self._queue(dialog)
        else:
            self._hold(dialog, event)

    def _pin(self, dialog: ModelDialog, event: Happened) -> None:
        dialog.pinned = True
        dialog.clocks.pop("auto_close", None)

    def _unpin(self, dialog: ModelDialog, event: Happened) -> None:
        dialog.pinned = False
        if dialog.status == "awaiting_customer" and dialog.desk.close_after is not None:
            dialog.clocks["auto_close"] = self.now + dialog.desk.close_after

    def _unanswered(self, dialog: ModelDialog, event: Happened) -> None:
        """S2."""
        self._went_off(dialog, "unanswered")
        assert not dialog.answered, event
        assert not dialog.marked, event
        dialog.marked = True

    def _auto_close(self, dialog: ModelDialog, event: Happened) -> None:
        """S3: there is no text, so it is closed at once."""
        self._went_off(dialog, "auto_close")
        assert dialog.status == "awaiting_customer", event
        assert not dialog.pinned, event
        dialog.status, dialog.clocks = "closed", {}

    def _closing_over(self, dialog: ModelDialog, event: Happened) -> None:
        """S4."""
        self._went_off(dialog, "closing")
        dialog.status, dialog.clocks = "closed", {}

    # What must be so when the product has nothing left to do

    def check_quiet(self) -> None:
        """Nothing waits that could be served, no clock is overdue, no limit is passed, nobody gone holds anything."""
        for desk in self.desks.values():
            if queue := self.queue_of(desk):
                assert not self.eligible(desk), f"D8: {queue[0]} waits, and {self.eligible(desk)} could have it"
        for dialog in self.dialogs.values():
            assert (dialog.holder is None) == (dialog.status in ("queued", "offered")) or dialog.status == "closed"
            overdue = [kind for kind, due in dialog.clocks.items() if due < self.now - SLACK]
            assert set(overdue) <= ({"handover"} if dialog.told else set()), f"overdue: {overdue} {dialog}"
            self._check_kept(dialog)
        for operator in self.operators.values():
            held = self.held_by(operator.id)
            assert not (operator.dismissed and held), f"D11: {operator} holds {held}"
            assert not (operator.tracked and operator.workday == "ended" and any(map(self.is_left, held))), "D11"
            counted = [one for one in held if self.counts(one) and not one.free_rider]
            assert operator.personal_limit is None or len(counted) <= operator.personal_limit, f"D7: {held}"
            for desk in self.desks.values():
                here = [one for one in counted if one.desk is desk]
                assert desk.limit is None or len(here) <= desk.limit, f"D7: {here}"

    def _check_kept(self, dialog: ModelDialog) -> None:
        """D5: told that he keeps it, he loses it within the whole time once another can have it."""
        others = dialog.told and dialog.status == "assigned" and self.eligible(dialog.desk, but=dialog.holder)
        older = [one for one in self.queue_of(dialog.desk) if one.id < dialog.id]
        dialog.others_since = (dialog.others_since or self.now) if others and not older else None
        if dialog.others_since is not None:
            assert self.now - dialog.others_since <= dialog.desk.handover + SLACK, (
                f"D5: {others} could have it: {dialog}"
            )
