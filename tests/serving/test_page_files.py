"""What the server sends of the page, and with which headers; no browser is needed."""

import httpx
from page_captioner import write_page_captioner
from pages import Page, check_accessible
from server_thread import running

NAME = "50%+é"  # whose path needs quoting


def test_headers_and_files(tmp_path):
    """The page needs nothing but itself, and nothing else may run in it."""
    base = write_page_captioner(tmp_path / "1").parent
    with running(base, NAME) as server, httpx.Client(base_url=server.url) as client:
        found = client.get("/")
        check_accessible(found.text)
        page = Page(found.text)
        linked = page.values("src") + page.values("href")
        for path in ["", *linked, "page.json", "words.js"]:
            assert ":" not in path
            answer = client.get(f"/{path}")
            assert answer.status_code == 200
            assert (
                "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
            )
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/page.json").json()["model"] == NAME
        assert client.get("/%2e%2e/server/app.py").status_code == 404
        assert client.get("/nothing").status_code == client.post("/nothing").status_code == 404
        assert client.post("/").status_code == client.post("/main.js").status_code == 405
        unchanged = client.get("/", headers={"if-none-match": found.headers["etag"]})
        assert unchanged.status_code == 304
