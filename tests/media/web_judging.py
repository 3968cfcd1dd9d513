"""What a browser would find on a medium: links that are followed, and tidy as the judge of HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.peers.programs import program, run

TAGS = ("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "a", "ul", "li",
        "table", "tr", "th", "td", "img", "div", "br", "small")  # fmt: skip


class Page(HTMLParser):
    """The links of a page, and its text; any tag that we do not write is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        known = dict(attrs)
        assert not any(name.startswith("on") for name in known), attrs
        self.links += [str(known[name]) for name in ("href", "src") if name in known]

    def handle_data(self, data: str) -> None:
        self.text += data


def browsed(root: Path) -> dict[str, Page]:
    """All pages that INDEX.HTM leads to, by name, each valid; every link is a file of the medium,
    and every file of the pages is led to."""
    found: dict[str, Page] = {}
    seen, waiting = {"INDEX.HTM"}, ["INDEX.HTM"]
    while waiting:
        name = waiting.pop()
        if not name.endswith(".HTM"):
            continue
        valid(root / name)
        page = found[name] = Page(root / name)
        for link in page.links:
            parts = urlsplit(link)
            assert not parts.scheme and not parts.netloc and not link.startswith("/"), link
            target = (root / name).parent.joinpath(unquote(parts.path)).resolve()
            assert target.is_relative_to(root.resolve()) and target.is_file(), link
            linked = str(target.relative_to(root.resolve()))
            if linked not in seen:
                seen.add(linked)
                waiting.append(linked)
    there = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {each for each in there if not each.startswith("DICOM/")} == seen
    return found


def valid(page: Path) -> None:
    """tidy has nothing to say against it."""
    said = run([program("tidy", "tidy"), "-errors", "-quiet", "-utf8", page])
    assert (said.returncode, said.output) == (0, "")
