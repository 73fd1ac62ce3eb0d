"""A flight's report as one HTML page: Chinese and English side by side, for a phone, with nothing from elsewhere.

Takes the JSON of `stac.flight_report` and imports the standard library alone, so that the light client writes the same
page as the server.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

_STATES = {
    "missing": ("未收到", "not received", "○"),
    "waiting": ("等待处理", "waiting", "…"),
    "accepted": ("已接收", "accepted", "✓"),
    "duplicate": ("重复", "duplicate", "="),
    "quarantined": ("未通过", "refused", "✕"),
}
"""In the order of the page: what needs somebody's hand comes first."""
_ORDER = ("quarantined", "missing", "waiting", "accepted", "duplicate")
_FIELDS = (
    ("department", "部门", "Department"),
    ("purpose", "用途", "Purpose"),
    ("platform", "飞行平台", "Platform"),
    ("pilot", "飞手", "Pilot"),
    ("operator_licence", "运营合格证号", "Operator's licence"),
    ("airspace_approval", "空域批准文号", "Airspace approval"),
    ("security", "密级", "Security class"),
    ("retain_until", "保存至", "Kept until"),
    ("created", "登记时间", "Created"),
    ("changed", "最后变化", "Last change"),
    ("closed_by", "结束人", "Closed by"),
    ("close_reason", "结束原因", "Reason for closing"),
)
_SECURITY = {"public": "公开 public", "internal": "内部 internal", "sensitive": "敏感 sensitive"}
_METHODS = {"georeference": "地理配准 georeference", "pose": "姿态 pose", "position": "仅位置 position only"}
_REASONS = {
    "truncated": "文件不完整",
    "damaged": "文件已损坏",
    "empty": "空文件",
    "not-an-image": "不是影像文件",
    "not-a-file": "不是普通文件",
    "link": "是链接，不是文件本身",
    "link-loop": "是循环链接",
    "unreadable": "无法读取",
    "forbidden": "没有读取权限",
    "not-found": "文件不存在",
    "too-many-pixels": "像素过多",
    "no-position": "没有位置信息",
    "impossible-position": "位置信息不可信",
    "no-crs": "没有坐标系",
    "no-georeference": "没有地理参考",
    "unusable-crs": "坐标系不可用",
    "mixed-coordinates": "坐标系混用",
    "unsupported-type": "数据类型不支持",
    "no-data": "没有有效像素",
    "palette": "是调色板影像",
    "reader-died": "读取时程序终止",
}
"""What the reasons that programs go by are called in Chinese; one that is not here stands by its own word."""
_UNITS = ("B", "kB", "MB", "GB", "TB")
_OPEN_AT_ONCE = 200
"""Lists longer than this are folded, so that a phone shows the page at once."""

_PAGE = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="robots" content="noindex"><title>{title}</title><style>{style}</style></head>
<body><main>
<header><p class="what">架次报告 <span lang="en">Flight report</span></p><h1>{name}</h1>
<p class="state {mood}"><b>{zh}</b> <span lang="en">{en}</span></p></header>
<ul class="counts">{counts}</ul>
{notes}{lists}
<details><summary>架次信息 <span lang="en">About the flight</span></summary><dl>{fields}</dl></details>
<footer>flyonce · {flight}</footer>
</main></body></html>
"""
_STYLE = """
:root{color-scheme:light dark;--ink:#1b2127;--soft:#56616b;--line:#d9dee3;--back:#fff;--card:#f4f6f8;
--good:#146c3c;--bad:#a4262c;--wait:#7a5200}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecef;--soft:#a3adb6;--line:#38424b;--back:#14181c;--card:#1e252b;
--good:#6fd39b;--bad:#ff9a93;--wait:#f0c36a}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,"PingFang SC","Noto Sans CJK SC",sans-serif}
main{max-width:46rem;margin:0 auto;padding:1rem}
h1{font-size:1.35rem;margin:.1rem 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1rem;margin:1.4rem 0 .4rem}
[lang=en]{color:var(--soft)}
.what{margin:0;font-size:.9rem}
.state{margin:0;padding:.5rem .75rem;border-left:4px solid var(--line);background:var(--card)}
.state.good{border-color:var(--good)}.state.bad{border-color:var(--bad)}.state.wait{border-color:var(--wait)}
.counts{display:grid;grid-template-columns:repeat(auto-fit,minmax(6.2rem,1fr));gap:.5rem;list-style:none;padding:0;
margin:1rem 0}
.counts li{background:var(--card);padding:.5rem .6rem;border-radius:.4rem;font-size:.85rem}
.counts [lang=en]{display:block}
.counts b{display:block;font-size:1.4rem;line-height:1.2;font-variant-numeric:tabular-nums}
.note{margin:.5rem 0;padding:.5rem .75rem;background:var(--card);overflow-wrap:anywhere}
summary{cursor:pointer;padding:.6rem 0;font-weight:600}
.files{list-style:none;margin:0;padding:0}
.files li{padding:.55rem 0;border-top:1px solid var(--line);display:grid;
grid-template-columns:1.4rem 1fr auto;gap:0 .4rem}
.files .name{overflow-wrap:anywhere}
.files .size{color:var(--soft);font-size:.85rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.files .why{grid-column:2/-1;font-size:.9rem;color:var(--soft);overflow-wrap:anywhere}
.files code{color:var(--bad);font-size:.85rem}
.quarantined .mark,.missing .mark{color:var(--bad)}.accepted .mark,.duplicate .mark{color:var(--good)}
.waiting .mark{color:var(--wait)}
dl{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.35rem .75rem;margin:.2rem 0}
dt{color:var(--soft);font-size:.9rem}dd{margin:0;overflow-wrap:anywhere}
footer{margin-top:2rem;color:var(--soft);font-size:.8rem;overflow-wrap:anywhere}
@media print{details{display:block}}
""".strip()


def page(report: Mapping[str, Any]) -> str:
    """The page. Every text of the report is escaped: names of files and flights are whatever somebody typed."""
    counts = report["counts"]
    mood = "wait" if report["state"] != "processed" else "bad" if counts["quarantined"] or counts["missing"] else "good"
    return _PAGE.format(
        title=escape(f"{report['name']} · flyonce"),
        style=_STYLE,
        name=escape(str(report["name"])),
        mood=mood,
        zh=escape(report["words"]["zh"]),
        en=escape(report["words"]["en"]),
        counts="".join(_count(state, f"{counts[state]:,}", *_STATES[state][:2]) for state in _ORDER)
        + _count("bytes", size(report["bytes"]), "已收", "received"),
        notes="".join(f'<p class="note">{escape(str(note))}</p>' for note in report["notes"]),
        lists="".join(_list(report, state) for state in _ORDER if counts[state]),
        fields="".join(_field(report, *field) for field in _FIELDS if report.get(field[0])),
        flight=escape(str(report["flight"])),
    )


def _count(kind: str, figure: str, zh: str, en: str) -> str:
    return f'<li class="{kind}"><b>{figure}</b>{zh}<span lang="en">{en}</span></li>'


def size(count: int) -> str:
    """Bytes as a person reads them: 3.7 MB, powers of ten."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def _list(report: Mapping[str, Any], state: str) -> str:
    files = [file for file in report["files"] if file["state"] == state]
    zh, en, mark = _STATES[state]
    rows = "".join(_row(file, mark) for file in files)
    unfold = " open" if state in ("quarantined", "missing") and len(files) <= _OPEN_AT_ONCE else ""
    return (
        f'<details class="{state}"{unfold}><summary>{zh} <span lang="en">{en}</span> ({len(files):,})</summary>'
        f'<ul class="files">{rows}</ul></details>'
    )


def _row(file: Mapping[str, Any], mark: str) -> str:
    told = "" if file["size"] is None else size(file["size"])
    message = str(file.get("message", "")).removeprefix(f"{file['file']}: ")
    why = [part for part in (message, str(file.get("remedy", ""))) if part]
    if file.get("footprint"):
        why.append(f"覆盖范围 footprint: {_METHODS.get(file['footprint'], file['footprint'])}")
    why += file.get("notes", [])
    why += ["结束后补交 sent after closing"] if file.get("late") else []
    reason = f"{_REASONS.get(file['reason'], '')} <code>{escape(file['reason'])}</code> " if file.get("reason") else ""
    below = f'<span class="why">{reason}{escape(" · ".join(why))}</span>' if why or reason else ""
    return (
        f'<li><span class="mark" aria-hidden="true">{mark}</span><span class="name">{escape(str(file["file"]))}</span>'
        f'<span class="size">{told}</span>{below}</li>'
    )


def _field(report: Mapping[str, Any], key: str, zh: str, en: str) -> str:
    value = _SECURITY.get(report[key], report[key]) if key == "security" else report[key]
    return f'<dt>{zh} <span lang="en">{en}</span></dt><dd>{escape(str(value))}</dd>'
