"""Each breaks one guarantee on purpose: what does not notice them proves nothing."""

from collections.abc import Callable, Mapping

MUTATIONS: Mapping[str, Callable[[], None]] = {}
