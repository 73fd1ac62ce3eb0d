"""What a process says: lines for people, or JSON for a collector (`FLYONCE_LOG=json`). Secrets stay out of both."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from records.settings import Settings

_HIDDEN = "***"
_SECRETS = (
    re.compile(
        r"(?i)\b((?:[\w-]*token|[\w-]*key|password|secret|signature|x-amz-[\w-]+)(?:=|%3D))[^&\s\"'<>]+",
    ),
    re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic)?\s*)[^\s'\",]+(?: [^\s'\",]+)*"),
    re.compile(r"(?i)(\b(?:bearer|basic) )[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)"),
)
_QUIET = ("distributed", "alembic", "rio_tiler", "rasterio", "titiler", "httpx")


def redacted(text: str) -> str:
    """The text without what would open something: tokens and keys in addresses and headers, passwords of databases."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<1>{_HIDDEN}", text)
    return text


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message; `fields` of the record beside them; the traceback as
    `error`."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        told = {key: redacted(value) if isinstance(value, str) else value for key, value in said.items()}
        return json.dumps(told, ensure_ascii=False, default=str)


def set_up(settings: Settings, level: int) -> None:
    """Make the root logger write to standard error. For JSON every request and job is told, whatever `level`."""
    handler = logging.StreamHandler()
    as_json = settings.log == "json"
    handler.setFormatter(JsonFormatter() if as_json else _Redacting("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO if as_json else level, handlers=[handler], force=True)
    for chatty in _QUIET:
        logging.getLogger(chatty).setLevel(logging.WARNING)
