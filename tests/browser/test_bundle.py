"""What the console is built from: pinned, without any registry's address, and with every licence beside it."""

import json
import re
from pathlib import Path

CONSOLE = Path(__file__).parents[2] / "catalog_api" / "console"
PACKAGE = json.loads((CONSOLE / "package.json").read_text("utf-8"))
LOCK = json.loads((CONSOLE / "package-lock.json").read_text("utf-8"))


def test_the_lock_names_no_registry_and_checks_every_package() -> None:
    packages = {path: entry for path, entry in LOCK["packages"].items() if path}
    assert packages
    assert not [path for path, entry in packages.items() if "resolved" in entry]
    assert not [path for path, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")]
    assert "registry" not in (CONSOLE / "package-lock.json").read_text("utf-8")


def test_direct_dependencies_are_pinned_and_locked_so() -> None:
    direct = PACKAGE["dependencies"] | PACKAGE["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in direct.values()), direct
    assert {name: LOCK["packages"][f"node_modules/{name}"]["version"] for name in direct} == direct


def test_licences_of_what_is_bundled_are_handed_out(bundle: Path) -> None:
    licences = (bundle / "licences.txt").read_text("utf-8")
    bundled = {
        path.rpartition("node_modules/")[2]: entry
        for path, entry in LOCK["packages"].items()
        if path and not entry.get("dev") and not entry.get("optional")
    }
    headings = {name: f"{name} {entry['version']} ({entry['license']})\n\n" for name, entry in bundled.items()}
    assert not [name for name, heading in headings.items() if heading not in licences]
    # A heading followed by the next rule would be a package without a text.
    assert not re.search(r"\)\n\n\s*-{20}", licences)


def test_the_page_has_no_inline_script_or_style() -> None:
    page = (CONSOLE / "static" / "index.html").read_text("utf-8")
    assert re.findall(r"<script\b[^>]*>(.*?)</script>", page, re.DOTALL) == [""]
    assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=", page)


def test_no_source_turns_text_into_markup() -> None:
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML")
    sources = sorted((CONSOLE / "src").glob("*.js"))
    assert sources
    found = [
        (s.name, n)
        for s in sources
        for n, line in enumerate(s.read_text("utf-8").splitlines(), 1)
        if markup.search(line) and not line.lstrip().startswith("//")
    ]
    assert not found
