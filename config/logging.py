"""structlog: JSON in production, colours in a terminal; what customers wrote is masked on the way out."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from config.masking import mask_fields, mask_text, masked_traceback

_UNMASKED = frozenset({"event", "level", "logger", "timestamp", "exception"})


def mask_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Mask all fields of an event; its exception becomes a masked traceback."""
    error = event.pop("exc_info", None)
    if error:
        if not isinstance(error, BaseException):
            error = error[1] if isinstance(error, tuple) else sys.exc_info()[1]
        if error is not None:
            event["exception"] = masked_traceback(error)
    kept = {key: event[key] for key in _UNMASKED & event.keys()}
    masked = mask_fields({key: value for key, value in event.items() if key not in _UNMASKED})
    return {**masked, **kept, "event": mask_text(str(event.get("event", "")))}


def configure_logging(output: str, level: str, process: str) -> None:
    """Set up structlog, and the standard library's logging through it.

    output: `json`, `console`, or `auto` (colours if stderr is a terminal). process: bound to every line.
    """
    coloured = output == "console" or (output == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_event,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if coloured else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("celery", "kombu", "amqp", "httpx", "httpcore", "uvicorn", "psycopg.pool", "yoyo"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    structlog.contextvars.bind_contextvars(process=process)
