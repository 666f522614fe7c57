"""Figures over everything, and whether the schema is there."""

from crm_store import migrations
from crm_store.database import Connection
from crm_store.views import SQL
from tracker.cards import CardType
from tracker.dialogs import DialogStatus


def dialogs_by_status(connection: Connection) -> dict[DialogStatus, int]:
    """How many dialogs there are in each status, over all open channels."""
    counts = dict.fromkeys(DialogStatus, 0)
    return counts | {
        DialogStatus(status): count for status, count in connection.execute(SQL["dialog_counts"]).fetchall()
    }


def cards_by_type(connection: Connection) -> dict[CardType, int]:
    """How many live cards there are of each type; provisional ones are none (C2, C3)."""
    counts = {card_type: 0 for card_type in CardType if card_type is not CardType.PROVISIONAL}
    return counts | {
        CardType(card_type): count for card_type, count in connection.execute(SQL["card_counts"]).fetchall()
    }


def missing_migrations(connection: Connection) -> list[str]:
    """Names of the migrations that this program needs and the database does not have."""
    needed = {file.stem for file in migrations.FOLDER.glob("*.sql") if not file.name.endswith(".rollback.sql")}
    row = connection.execute(SQL["has_migrations"]).fetchone()
    if row is None or not row[0]:
        return sorted(needed)
    applied = {migration_id for (migration_id,) in connection.execute(SQL["applied_migrations"]).fetchall()}
    return sorted(needed - applied)
