"""What happens to operators by time alone (D6), and who holds what he should not (D11); the clock looks at it."""

import structlog

from crm_store import presence
from crm_store.database import Session
from crm_store.errors import DatabaseAwayError

log = structlog.get_logger(__name__)


class PresenceWatch:
    """Logs heartbeats that stopped and leaves that began or ended, and hands back the dialogs of those who are gone.

    No race leaves a dialog with one who has left: whatever came to him meanwhile is found here.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def look(self) -> None:
        """Once. What fails with one operator holds up no other, and is tried again at the next look.

        Raises DatabaseAwayError if nothing can be read.
        """
        with self._session.transaction() as connection:
            for change in presence.note_changes(connection):
                log.info("presence", operator=change.operator_id, was=change.was.value, became=change.became.value)
        with self._session.transaction() as connection:
            stranded = presence.stranded(connection)
        for operator_id, cause in stranded:
            self._relieve(operator_id, cause)

    def _relieve(self, operator_id: int, cause: str) -> None:
        try:
            with self._session.transaction() as connection:
                handed_back = presence.relieve(connection, operator_id)
        except DatabaseAwayError as error:
            log.warning("not_relieved", operator=operator_id, error=error)
        except Exception:
            log.exception("not_relieved", operator=operator_id)
        else:
            log.info("relieved", operator=operator_id, cause=cause, dialogs=handed_back)
