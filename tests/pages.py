"""What the tests of HTML pages share: a reader, what holds of every page, a browser."""

import itertools
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# A browser's window is no narrower than 500 pixels; a frame in it is as narrow as a phone.
PHONE = """<!DOCTYPE html><title></title><iframe width="390" height="800" srcdoc="{}"></iframe>
<script>
onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  const broken = [...page.images].filter(image => !image.naturalWidth).length;
  const root = page.documentElement;
  document.title = [root.clientWidth, root.scrollWidth > root.clientWidth, broken];
}};
</script>"""
VOID = {"br", "img", "link", "meta"}


class Page(HTMLParser):
    """Reads a page as a browser would, and collects what the tests ask for."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(html)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def tags(self):
        return [tag for tag, _ in self.elements]


def check_accessible(html):
    """Assert that a page is well formed, has its headings in order and names for all it shows."""
    assert html.startswith("<!DOCTYPE html>")
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(page.values("aria-labelledby")) <= set(ids)
    levels = [int(tag[1]) for tag in page.tags() if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.tags().count("table") == page.tags().count("caption")
    assert all(attributes.get("alt") for tag, attributes in page.elements if tag == "img")
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")


def check_self_contained(html):
    """Assert that nothing outside of the page is referred to, and that nothing in it runs."""
    page = Page(html)
    targets = {f"#{id_}" for id_ in page.values("id")}
    for link in page.values("src") + page.values("href") + page.values("xlink:href"):
        assert link.startswith("data:") or link in targets, link
    assert set(re.findall(r"url\((.*?)\)", html)) <= targets
    assert "@import" not in html
    assert "script" not in page.tags()
    assert not any(name.startswith("on") for _, found in page.elements for name in found)


def check_in_browser(html, directory):
    """Assert that a browser shows the page without complaint, and on a phone whole; or skip."""
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    page, shot = directory / "page.html", directory / "page.png"
    page.write_text(html, encoding="utf-8")
    # What the page's Content-Security-Policy stops, be it a script or a request, is in the console.
    _, log = _browse(page, "--enable-logging=stderr", f"--screenshot={shot}")
    assert "CONSOLE" not in log
    assert shot.exists()
    unprotected = re.sub(r"<meta http-equiv.*?>", "", html)
    page.write_text(PHONE.format(escape(unprotected)), encoding="utf-8")
    shown, _ = _browse(page, "--hide-scrollbars", "--dump-dom")
    assert re.search(r"<title>(.*?)</title>", shown)[1] == "390,false,0"


def _browse(page: Path, *options):
    """Open a page in a headless browser; returns (standard output, console and errors)."""
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", *quiet]
    done = subprocess.run(
        [*command, f"--user-data-dir={page.parent / 'profile'}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr
