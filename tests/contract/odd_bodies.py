"""Bodies in which something stands that nobody expects there."""

import copy
from collections.abc import Iterator

from hypothesis import strategies as st

Path = tuple[str | int, ...]


def places(value: object, path: Path = ()) -> Iterator[Path]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from places(child, (*path, name))


def replaced(value: object, path: Path, new: object) -> object:
    if not path:
        return new
    whole = copy.deepcopy(value)
    part = whole
    for name in path[:-1]:
        part = part[name]  # type: ignore[index]
    part[path[-1]] = new  # type: ignore[index]
    return whole


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**30, 10**40)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["", "\x00", "\ud800", "private", "kicked", "text", "image", "edit", "contacts", "9" * 600, "{}"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "from"]), inner, max_size=3)
    ),
    max_leaves=5,
)
