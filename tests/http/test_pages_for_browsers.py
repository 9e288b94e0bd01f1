"""Pages for a browser: the start page and the page of a run."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from zof_emulator.core.limits import Rate

from tests.http.histories import TERMINAL, Step, histories, perform, reset_emulator
from tests.zof import ADMIN, OTHER, Answer, Zof

EMPTY = {"meta"}


class Page(HTMLParser):
    """A parsed page: its text, its links, its form, and whether it refreshes itself."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        self.text = ""
        self.links: list[str] = []
        self.tags: list[str] = []
        self.refreshes = False
        self._open: list[str] = []
        self.feed(answer.content.decode())
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.refreshes |= ("http-equiv", "refresh") in attrs
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data + "\n"


def test_home() -> None:
    """The start page shows the API's address, the keys and the newest runs."""
    zof = reset_emulator()
    runs = [zof.start()["id"] for _ in range(12)]
    answer = zof.send("GET", "/", key=None)
    page = Page(answer)
    assert answer.status == 200
    assert all(word in page.text for word in ("Zof", "http://127.0.0.1:9630/v1", ADMIN, OTHER))
    assert [link for link in page.links if link.startswith("/runs/")] == [f"/runs/{run}" for run in runs[:1:-1]]


def test_links_of_the_home_page() -> None:
    """Every link of the start page can be followed without a key."""
    zof = reset_emulator()
    zof.complete_run("tc_a")
    links = Page(zof.send("GET", "/", key=None)).links
    assert len(links) >= 4
    assert {zof.send("GET", link, key=None).status for link in links} == {200}


@given(history=histories)
def test_run(history: list[Step]) -> None:
    """The `url` of a run leads, without a key, to a page that shows its status, cases, log and artifacts."""
    zof = reset_emulator(capacity=2)
    for name in perform(zof, history):
        run = zof.run(name)
        answer = zof.follow(run["url"], key=None)
        page = Page(answer)
        assert answer.status == 200
        shown = [run["id"], run["status"], run["project_id"], run["environment"], run["created_at"]]
        shown += [one["test_case_id"] for one in run["case_outcomes"]]
        shown += [line["message"] for line in zof.walk(f"/runs/{name}/logs")]
        shown += [one["name"] for one in zof.walk(f"/runs/{name}/artifacts")]
        assert [word for word in shown if word not in page.text] == []
        assert page.refreshes is (run["status"] not in TERMINAL), "it looks again while there is more to come"


def test_run_of_any_organization() -> None:
    """On loopback the page of a run of any organization is shown."""
    zof = reset_emulator()
    run = zof.start("tc_x", key=OTHER, project_id="proj_x")
    assert zof.follow(run["url"], key=None).status == 200


@pytest.mark.parametrize("name", ["run_none", "x", "<script>", "run_\xe9", "run_\0"])
def test_no_such_run(name: str) -> None:
    """The page of an unknown run is 404 and does not repeat the ID."""
    answer = reset_emulator().send("GET", f"/runs/{name}", key=None)
    assert answer.status == 404
    assert "script" not in Page(answer).tags


@pytest.mark.parametrize("path", ["/", "/runs/run_none"])
def test_headers(path: str) -> None:
    """A page has its own request ID and the world's date, and must not be cached."""
    answers = [reset_emulator().send("GET", path, key=None) for _ in range(2)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2
    assert {answer.headers["date"] for answer in answers} == {"Thu, 01 Jan 2026 00:00:00 GMT"}
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


def test_no_script() -> None:
    """Pages have no script and load no other resource."""
    zof = reset_emulator()
    run = zof.complete_run("tc_pay_fail")
    for answer in (zof.send("GET", "/", key=None), zof.follow(run["url"], key=None)):
        assert {"script", "link", "img", "iframe"}.isdisjoint(Page(answer).tags)


def test_no_trace() -> None:
    """Reading a page does not change the API's answers and counts against no limit."""
    plain, looked = Zof(rate=Rate(limit=1)), Zof(rate=Rate(limit=1))
    for path in ("/", "/runs/run_none"):
        looked.send("GET", path)
    assert looked.get("/runs") == plain.get("/runs")


def test_elsewhere() -> None:
    """A client on another machine gets 404 for the start page, which holds the keys, and sees the pages of runs."""
    zof = reset_emulator(host="0.0.0.0")  # noqa: S104  the address under test
    url = zof.start()["url"].removeprefix("http://127.0.0.1:9630")
    assert zof.send("GET", "/", key=None, client="192.0.2.7").error == (404, "not_found", None)
    assert zof.send("GET", "/", key=None).status == 200
    assert zof.send("GET", url, key=None, client="192.0.2.7").status == 200


@pytest.mark.parametrize("path", ["/runs", "/runs/", "/runs/a/b", "/index.html", "/v1", "/_emulator"])
def test_other_path(path: str) -> None:
    """Any other path is 404 with the API's message."""
    assert reset_emulator().send("GET", path, key=None).error == (404, "not_found", None)


def test_public_url() -> None:
    """With a public URL, the link to a run begins with it and leads to the run's page."""
    zof = reset_emulator(public_url="https://zof.test:8443")
    run = zof.start()
    assert run["url"] == f"https://zof.test:8443/runs/{run['id']}"
    assert zof.follow(run["url"], key=None).status == 200
    assert "https://zof.test:8443/v1" in Page(zof.send("GET", "/", key=None)).text
