"""The reference of the settings, from the settings class: `python -m records.reference > docs/settings.md`."""

import sys
from pathlib import Path

from pydantic_core import PydanticUndefined

from records.settings import Settings

_HEAD = """# Settings 设置

Read from the environment when a process starts. 各进程启动时从环境变量读取。
Written by `python -m records.reference > docs/settings.md`; a test holds it equal to the settings class.

| variable 变量 | default 默认 | meaning 含义 |
| --- | --- | --- |
"""


def text() -> str:
    """Markdown: one row for each setting. Secrets are marked, their defaults are never anything but empty."""
    rows = []
    for name, field in Settings.model_fields.items():
        secret = " (secret 保密)" if "SecretStr" in str(field.annotation) else ""
        default = field.default
        if default is PydanticUndefined:
            default = Path("~/.flyonce")
        shown = "" if default in ("", None) else f"`{default}`"
        rows.append(f"| `FLYONCE_{name.upper()}`{secret} | {shown} | {field.description} |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
