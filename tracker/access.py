"""Who may see a dialog and act on it: roles, and how far each reaches."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is to the desk. A service is a program of the company."""

    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


class Scope(StrEnum):
    """Whose dialogs: his own, those of the departments that he supervises, or all."""

    OWN = "own"
    DEPARTMENT = "department"
    ANY = "any"


DEFAULT_SCOPES = {
    Role.OPERATOR: Scope.OWN,
    Role.SUPERVISOR: Scope.DEPARTMENT,
    Role.ADMINISTRATOR: Scope.ANY,
    Role.SERVICE: Scope.ANY,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a caller is to one dialog. operator_id: None for a service.

    on_roster: he stands on the roster of its open channel. supervises: he may act on it although it is not his.
    """

    operator_id: int | None
    on_roster: bool = False
    supervises: bool = False
