"""The fields of a desk's parts, and how they are read out of a mapping of the file."""

import json
from collections.abc import Collection, Mapping
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from cli.desks.document import Node, Scalar
from cli.desks.problems import Place, Problem, nearest
from tracker.access import Role, Scope
from tracker.channels import OpenChannelSettings


def _known_region(region: str) -> str:
    if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f'"{region}" is no region; write the ISO 3166 code of the country, e.g. DE, GB, BR')
    return region.upper()


def _one_line(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        raise ValueError("a name is one line of printable characters without spaces around it")
    return name


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class OpenChannelFields(OpenChannelSettings):
    """An open channel without its roster."""

    name: Name
    active: bool = True


class ChannelFields(_Fields):
    """A channel without its secrets. `name` is by default the key."""

    key: Key
    kind: str = ""
    name: Name = ""
    open_channel: str = ""
    account_id: str = Field("", max_length=200)
    region: Annotated[str, AfterValidator(_known_region)] | None = None
    config: dict[str, Any] = {}
    active: bool = True


class OperatorRole(StrEnum):
    """A role that a person may have."""

    OPERATOR = Role.OPERATOR.value
    SUPERVISOR = Role.SUPERVISOR.value
    ADMINISTRATOR = Role.ADMINISTRATOR.value


class OperatorFields(_Fields):
    """An operator without his token."""

    name: Name
    personal_limit: int | None = Field(None, ge=1, le=1_000_000)
    dismissed: bool = False
    role: OperatorRole = OperatorRole.OPERATOR
    scope: Scope | None = None
    time_tracking: bool = False


class DepartmentFields(_Fields):
    """A department without its members and supervisors."""

    name: Name


def read_fields(
    node: Node, model: type[BaseModel], others: Collection[str], problems: list[Problem]
) -> tuple[dict[str, Any], Mapping[str, Node]]:
    """The plain fields of a mapping that are said and right, and its other fields as they stand.

    others: fields that the caller reads itself.
    """
    if not isinstance(node.content, dict):
        problems.append(Problem(node.place, "must be a mapping of fields, `name: value` on each line"))
        return {}, {}
    plain: dict[str, Any] = {}
    for key, value in node.content.items():
        if key in model.model_fields:
            plain[key] = _value(value, model.model_fields[key])
        elif key not in others:
            known = [*model.model_fields, *others]
            message = f"there is no such field{nearest(key, known) or '; there are ' + ', '.join(known)}"
            problems.append(Problem((node.keys or {}).get(key, value.place), message))
    wrong = _validate(node, model, plain, problems)
    given = _validated(model, {key: value for key, value in plain.items() if key not in wrong})
    return given, {key: value for key, value in node.content.items() if key in others}


def _validate(node: Node, model: type[BaseModel], plain: Mapping[str, Any], problems: list[Problem]) -> set[str]:
    """Adds what is wrong to `problems`, and returns the fields that are."""
    wrong = set()
    try:
        model.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            field = str(detail["loc"][0])
            wrong.add(field)
            place = node.place if detail["type"] == "missing" else _place_in(node, detail["loc"])
            problems.append(Problem(place, _message(field, dict(detail))))
    return wrong


def _validated(model: type[BaseModel], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The right fields as the model has them; what is wrong or missing is made up and left out again."""
    stand_in = {"name": "x"} if "key" not in model.model_fields else {"key": "x"}
    return model.model_validate_json(json.dumps(stand_in | dict(plain)), strict=True).model_dump(include=set(plain))


def _value(node: Node, field: FieldInfo) -> Any:
    """What a field reads: where a text is expected, digits and `true` are one."""
    value = node.value()
    if isinstance(node.content, Scalar) and value is not None and _takes_text(field.annotation):
        return node.content.text
    return value


def _takes_text(annotation: Any) -> bool:
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return any(_takes_text(part) for part in get_args(annotation))
    return annotation is str


def _place_in(node: Node, location: tuple[int | str, ...]) -> Place:
    for part in location:
        content = node.content
        match part, content:
            case str(), dict() if part in content:
                node = content[part]
            case int(), list() if part < len(content):
                node = content[part]
            case _:
                break
    return node.place


def _message(field: str, detail: Mapping[str, Any]) -> str:
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    shown = json.dumps(given, ensure_ascii=False, default=str) if isinstance(given, str | int | float | None) else ""
    it_is = f"; it is {shown}" if shown and len(shown) <= 100 else ""
    match kind:
        case "missing":
            return f"`{field}` is missing; write it"
        case "bool_type":
            return f"must be true or false{it_is}"
        case "int_type" | "int_from_float":
            return f"must be a whole number{it_is}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}{it_is}"
        case "less_than_equal":
            return f"must be at most {context['le']}{it_is}"
        case "string_type":
            return f"must be a text{it_is}"
        case "dict_type":
            return "must be a mapping, `name: value` on each line"
        case "enum":
            known = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"must be one of {', '.join(known)}{it_is}{nearest(str(given), known)}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_pattern_mismatch":
            return f"may hold letters, digits, `-`, `_` and `.`, at most 100; it is a part of the URL{it_is}"
        case "value_error":
            return str(context["error"])
        case _:
            return f"{detail['msg']}{it_is}"
