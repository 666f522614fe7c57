"""`openchannel customers`: what is known of a customer, and its erasure (T5), for requests under data protection."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from cli.channels import table
from cli.composition import database_options, on_this_machine
from cli.customer_document import Destination, write_document
from cli.signals import endable
from cli.tracker.opening import actor
from config.settings import SettingsError, load_settings
from crm_store import audit, customer_records
from crm_store import customers as store
from crm_store.customers import Key, Overview
from crm_store.database import Connection, Session
from crm_store.erasure import Erased, Request, erase
from tracker.identifiers import Evidence, Identifier, IdentifierKind, email, phone, phone_from_digits
from tracker.traces import Traces

customers = typer.Typer(name="customers", help="Export and erase what is known of a customer.", no_args_is_help=True)

LOCK_TIMEOUT = 2.0
"""Seconds that an erase waits for a lock, before it lets go of all and tries again: others wait behind it."""

Phone = Annotated[str, typer.Option("--phone", help="The customer's phone; national ones with --region.")]
Email = Annotated[str, typer.Option("--email", help="The customer's e-mail.")]
Card = Annotated[int, typer.Option("--card", help="One of the customer's cards.")]
Region = Annotated[str, typer.Option("--region", help="Country of a national phone, as DE.")]
All = Annotated[bool, typer.Option("--all", help="Take all customers who have it.")]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whom the options mean. name: of the option, for messages; the value itself is never shown."""

    name: str
    identifiers: tuple[Identifier, ...] = ()
    card_ids: tuple[int, ...] = ()

    @property
    def keys(self) -> frozenset[Key]:
        """Kinds and keys."""
        return frozenset((identifier.kind.value, identifier.key) for identifier in self.identifiers)

    @property
    def traces(self) -> Traces:
        """By which they are found wherever they are written."""
        values = {kind: [i.value for i in self.identifiers if i.kind is kind] for kind in IdentifierKind}
        return Traces(values[IdentifierKind.PHONE], values[IdentifierKind.EMAIL])


@customers.command("export")
def export_command(
    phone_option: Phone = "",
    email_option: Email = "",
    card: Card = 0,
    region: Region = "",
    everybody: All = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file that only you can read.")] = None,
) -> None:
    """Write everything that is known of a customer, as JSON."""
    wanted = _wanted(phone_option, email_option, card, region)
    if output is not None and not output.resolve().parent.is_dir():
        raise SettingsError(f"--output: there is no folder {output.resolve().parent}")
    with endable(), _session("customers export") as session, Destination(output) as destination:
        with session.transaction() as connection:
            customer_records.begin(connection)
            live_ids = _chosen(connection, wanted, everybody=everybody, may_be_nobody=False)
            write_document(destination, connection, live_ids)
        with session.transaction() as connection:
            details = {"card_ids": live_ids, "by": wanted.name, "to": "file" if output else "standard output"}
            audit.enter(connection, actor(), "customer_exported", "done", details)
        destination.release()


@customers.command("erase")
def erase_command(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit, so name no one.")],
    phone_option: Phone = "",
    email_option: Email = "",
    card: Card = 0,
    region: Region = "",
    everybody: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and change nothing.")] = False,
) -> None:
    """Erase a customer: cards, chats, histories, and his phones and e-mails wherever others wrote them."""
    wanted = _wanted(phone_option, email_option, card, region)
    if not reason.strip():
        raise SettingsError("--reason: say why; it is kept in the audit")
    with _session("customers erase") as session:
        with session.transaction() as connection:
            live_ids = _chosen(connection, wanted, everybody=everybody, may_be_nobody=bool(wanted.keys))
            _say(_announcement(connection, wanted, live_ids))
            families = {live_id: store.family(connection, [live_id]) for live_id in live_ids}
        if dry_run:
            _say(["nothing was changed: this was a dry run"])
            return
        _confirm(yes=yes)
        for named in _one_by_one(wanted, live_ids):
            family = frozenset[int]().union(*(families[live_id] for live_id in named))
            request = Request(live_ids=named, named=wanted.keys, actor=actor(), reason=reason, family=family)
            _say(_report(erase(session, request, _progress())))


def _one_by_one(wanted: _Wanted, live_ids: Sequence[int]) -> list[list[int]]:
    """One transaction per customer; those who share what was named go together, or it would stay with the last."""
    if not live_ids:
        return [[]]
    return [list(live_ids)] if wanted.keys else [[live_id] for live_id in live_ids]


# Whom


def _wanted(phone_given: str, email_given: str, card: int, region: str) -> _Wanted:
    """Raises SettingsError unless exactly one of them is given and can be read."""
    if (bool(phone_given), bool(email_given), bool(card)).count(True) != 1:
        raise SettingsError("say who: one of --phone, --email and --card")
    if card:
        return _Wanted("card", card_ids=(card,))
    if phone_given:
        read = phone(phone_given, Evidence.PROVEN, region.upper() or None)
        read = read or phone_from_digits(phone_given.strip(), Evidence.PROVEN)  # of a plan that the library has not
        if read is None:
            raise SettingsError("--phone: not a phone; write it with its country code (+49 ...), or give --region")
        return _Wanted("phone", (read,))
    read = email(email_given, Evidence.PROVEN)
    if read is None:
        raise SettingsError("--email: not an e-mail address")
    return _Wanted("email", (read,))


def _chosen(connection: Connection, wanted: _Wanted, *, everybody: bool, may_be_nobody: bool) -> list[int]:
    """Live cards of the customers who are meant. Ends the command where it is nobody, or not clear who."""
    live_ids = store.find(connection, wanted.keys, wanted.card_ids)
    if wanted.identifiers:
        live_ids = sorted({*live_ids, *store.find_by_address(connection, wanted.traces)})
    if not live_ids and not may_be_nobody:
        _fail([f"nobody is known by this {wanted.name}"])
    if len(live_ids) > 1 and not everybody:
        _fail(
            [
                f"{len(live_ids)} customers have this {wanted.name}:",
                _listed(store.overview(connection, live_ids)),
                "choose one with --card, or take them all with --all",
            ]
        )
    return live_ids


def _listed(known: Collection[Overview]) -> str:
    rows = [
        (str(one.live_id), one.type, _masked(one.name), str(one.merged), str(one.chats), f"{one.created_at:%Y-%m-%d}")
        for one in known
    ]
    return table(("card", "type", "name", "merged cards", "chats", "since"), rows).rstrip("\n")


def _masked(name: str) -> str:
    """Enough to tell one customer from another, and no name for the terminal's history."""
    return " ".join(f"{part[0]}***" for part in name.split())


# Erasing


def _announcement(connection: Connection, wanted: _Wanted, live_ids: Sequence[int]) -> Iterator[str]:
    if not live_ids:
        yield f"nobody is known by this {wanted.name} (any more); texts of others and the inbox will be searched for it"
        return
    who = store.read(connection, live_ids)
    yield "to be erased:"
    yield _listed(store.overview(connection, live_ids))
    yield table(("table", "rows"), [(name, str(n)) for name, n in store.counts(connection, who).items()]).rstrip("\n")
    kept = store.proven_by_others(connection, who.keys, who.card_ids) | store.shared(connection, who.keys)
    if kept - wanted.keys:
        yield f"{len(kept - wanted.keys)} of his identifiers are another customer's too, or shared: they stay there"
    yield "besides, his inbox items, and his phones and e-mails wherever else they are written"


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError("nothing was erased: confirm with --yes where there is no terminal to ask on")
    typer.confirm("This cannot be undone. Erase?", abort=True)


def _progress() -> Callable[[str, int], None]:
    """Says on a terminal how far the sweep is; it may take minutes."""
    if not sys.stderr.isatty():
        return lambda _table, _rows: None
    return _show_progress


def _show_progress(table_name: str, rows: int) -> None:
    sys.stderr.write(f"\r\033[Ksearching {table_name}: {rows} rows")


def _report(erased: Erased) -> Iterator[str]:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    gone = ", ".join(f"{name} {n}" for name, n in erased.deleted.items() if n)
    yield f"erased: {gone or 'no rows'}"
    changed = ", ".join(f"{name} {n}" for name, n in erased.rewritten.items() if n)
    yield f"rewritten elsewhere: {changed or 'no rows'}"
    if erased.kept:
        yield f"{erased.kept} identifiers stay, because they are another customer's too"
    if not erased.statistics_renewed:
        yield "PostgreSQL's samples of the tables could not be taken anew: run ANALYZE as their owner"
    yield "the block list, backups and files of earlier exports are yours to look after: docs/privacy.md"


# The command's surroundings


@contextmanager
def _session(command: str) -> Iterator[Session]:
    settings = on_this_machine(load_settings())
    options = database_options(settings, command)
    session = Session(replace(options, lock_timeout=min(options.lock_timeout, LOCK_TIMEOUT)))
    try:
        yield session
    finally:
        session.close()


def _say(lines: Iterator[str] | Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _fail(lines: Sequence[str]) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    raise typer.Exit(1)
