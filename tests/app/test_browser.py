"""Walks through the app in a real browser: the pages, the keys, and what is on disk after."""

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.launch import PROJECT_VARIABLE, command
from labeling_functions import load_folder
from labeling_functions.templates import toml
from pipelines.lf_queries import lf_rows, pair_rows
from pipelines.queries import RunView
from pipelines.queues import QUEUES
from pipelines.reviews import ReviewStore
from tests.app.shapes import build
from tests.pipelines import letters

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'

# How much redder than blue the upper and the lower half of a picture are, on average.
_HALVES = """async (image) => {
  await image.decode();
  const canvas = new OffscreenCanvas(64, 64);
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0, 64, 64);
  const mean = (top) => {
    const data = pen.getImageData(0, top, 64, 32).data;
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] - data[i + 2];
    return (4 * sum) / data.length;
  };
  return [mean(0), mean(32)];
}"""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}")


@contextmanager
def serving(project):
    """Serve the app on a free port, exactly as `weaklight review` serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, PROJECT_VARIABLE: str(project.root)}
    server = subprocess.Popen(
        command(port, open_browser=False),
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/_stcore/health")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def shapes(tmp_path):
    return build(tmp_path / "shapes", parts=True)


@pytest.fixture
def served(shapes):
    with serving(shapes) as url:
        yield url


@pytest.fixture
def browser_page(tmp_path):
    """A page of a fresh profile that notes every address it asks for."""
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=str(CHROMIUM),
            headless=True,
            args=FLAGS,
            viewport={"width": 1400, "height": 950},
        )
        page = context.pages[0]
        page.set_default_timeout(60_000)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        yield page
        context.close()


def test_a_reviewer_walks_through_the_app_with_keys(served, browser_page, shapes):
    page = browser_page
    store = ReviewStore(shapes.state / "reviews.sqlite")

    page.goto(served)
    page.get_by_text("What each stage took").wait_for()

    page.get_by_role("link", name="Labelling functions").click()
    page.locator(".tile").first.wait_for()
    conflicts = lf_rows(RunView.latest(shapes), "mostly_full", "conflicts")
    page.get_by_text("Conflicts", exact=True).last.click()
    page.get_by_text(f"{len(conflicts)} items.").wait_for()
    page.locator(IDLE).wait_for()
    page.locator(".tile .open").first.click()
    page.get_by_role("dialog").get_by_text("Most similar items").wait_for()
    page.keyboard.press("Escape")

    page.get_by_role("link", name="Pairs of functions").click()
    cell = page.locator("path[aria-label^='other: in_between; function: mostly_full;']")
    cell.click(force=True)  # the number lies on top of it
    page.get_by_role("heading", name="mostly_full and in_between").wait_for()
    both = pair_rows(RunView.latest(shapes), "mostly_full", "in_between", "conflicts")
    page.get_by_text(f"Contradict each other ({len(both)})").wait_for()
    page.locator(IDLE).wait_for()
    assert page.locator(".tile").count() == len(both) > 0

    page.get_by_role("link", name="Review").click()
    page.locator(".tile.current").wait_for()
    page.get_by_role("button", name="Accept").wait_for()
    page.locator(IDLE).wait_for()
    for order in ("random", "least confident"):  # choosing an order leaves the keys to the page
        page.get_by_text(order, exact=True).click()
        page.get_by_text(QUEUES[order]).wait_for()
        page.locator(IDLE).wait_for()
    page.locator(".tile.current").wait_for()
    page.keyboard.press("h")
    under_heat = page.get_by_role("img", name="under the scores of its parts")
    under_heat.wait_for()
    upper, lower = page.evaluate(_HALVES, under_heat.element_handle())
    assert upper > lower + 50, "the upper half has the higher score"  # of 255, in red over blue
    page.keyboard.press("h")
    under_heat.wait_for(state="detached")
    page.get_by_role("textbox", name="Note").fill("a sleeve")
    _press(page, store, "Enter")
    page.get_by_text("a sleeve").wait_for()
    page.locator(IDLE).wait_for()
    _press(page, store, "a")  # decides, and is no letter of a further note
    _press(page, store, "3")
    _press(page, store, "x")
    _press(page, store, "s")
    _press(page, store, "u")
    log = store.events().iloc[::-1]
    assert log["action"].tolist() == ["comment", "accept", "relabel", "exclude", "skip", "undo"]
    assert log["new"].iloc[2] == "cross" and log["item_id"].iloc[:5].nunique() == 4
    assert page.locator(".tile .mark").count() == 3

    # Two pictures ticked: one key decides on both, one undo takes both back.
    tiles = page.locator(".tile")
    ticked = [tiles.nth(k).get_attribute("data-id") for k in (8, 9)]
    for k in (8, 9):
        tiles.nth(k).hover()
        tiles.nth(k).locator(".box").click()
    page.get_by_text("act on the 2 selected items").wait_for()
    _press(page, store, "1", n=2)
    assert store.events(limit=2)["item_id"].tolist() == ticked[::-1]
    assert set(store.events(limit=2)["new"]) == {"circle"}
    _press(page, store, "u", n=2)
    assert set(store.current()["item_id"]) == set(log["item_id"].iloc[1:4])

    page.get_by_role("link", name="Map").click()
    page.locator(".js-plotly-plot .nsewdrag").wait_for()
    page.locator(IDLE).wait_for()
    box = page.locator(".js-plotly-plot").bounding_box()
    edge = [(0.02, 0.1), (0.98, 0.1), (0.98, 0.9), (0.02, 0.9), (0.02, 0.12)]
    path = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in edge]
    page.mouse.move(*path[0])
    page.mouse.down()
    for x, y in path[1:]:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()
    page.locator(".tile").first.wait_for()

    outside = [u for u in page.asked if not u.startswith((served, "data:", "blob:", "ws:"))]
    assert outside == [], "nothing leaves the machine"


def test_an_expert_writes_a_function_sees_what_it_does_and_saves_it(browser_page, tmp_path):
    page, project = browser_page, letters.build(tmp_path / "letters")
    words = {"name": "offers", "kind": "keywords", "column": "text", "words": ["free"]}
    with serving(project) as url:
        page.goto(f"{url}/write")
        page.get_by_text("Still to fill in: Then vote").wait_for()
        page.get_by_role("combobox", name="Then vote").click()
        page.get_by_role("option", name="spam").click()
        page.get_by_text("Fill in at least one of: Words").wait_for()
        page.get_by_role("textbox", name="Words, one a line").fill("free")
        page.keyboard.press("Control+Enter")
        page.get_by_text('Votes spam where text holds "free".').wait_for()
        page.get_by_text("9 of 12 items").wait_for()  # counted in tests/pipelines/letters.py
        page.get_by_text("Items that it gets wrong on dev").wait_for()

        page.get_by_role("textbox", name="Name", exact=True).fill("short")
        page.keyboard.press("Enter")
        page.locator(IDLE).wait_for()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("there is an LF called 'short' in first.py already").wait_for()
        page.get_by_role("textbox", name="Name", exact=True).fill("offers")
        page.keyboard.press("Enter")
        # idle is also what the page is before it has heard of the key
        page.get_by_text("there is an LF called 'short' in first.py already").wait_for(
            state="hidden"
        )
        page.locator(IDLE).wait_for()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("lets it vote").wait_for()

        # it is not tried beside itself: all of its votes are still those of no other
        page.get_by_role("button", name="Replace offers").wait_for()
        assert page.get_by_text("all but the same").count() == 0
        page.get_by_role("textbox", name="Words, one a line").fill("free\nride")
        page.keyboard.press("Control+Enter")
        page.get_by_text('holds "free" or "ride".').wait_for()
        page.get_by_text("lets it vote").wait_for(state="hidden")  # said of the first save
        page.locator(IDLE).wait_for()
        page.get_by_role("button", name="Replace offers").click()
        page.get_by_text("lets it vote").wait_for()
    saved = {lf.name: lf for lf in load_folder(project.root / "lfs")}
    wanted = {**words, "words": ["free", "ride"], "vote": "spam"}
    assert saved["offers"].digest == toml.from_dict(wanted).digest and len(saved) == 2


def _press(page, store: ReviewStore, key: str, n: int = 1) -> None:
    """Press a key once the page has settled, and wait until the store holds ``n`` more events."""
    page.locator(IDLE).wait_for()
    page.wait_for_timeout(300)  # the buttons of the new picture take over the keys
    wanted = store.last_id() + n
    page.keyboard.press(key)
    _until(lambda: store.last_id() == wanted, f"the key {key!r} wrote no event")
    page.locator(IDLE).wait_for()


def _wait_for(url: str) -> None:
    def answers() -> bool:
        try:
            with urlopen(url, timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False

    _until(answers, f"{url} does not answer")


def _until(is_true, otherwise: str, limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)
