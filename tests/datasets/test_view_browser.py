"""`lr dataset view` in a real browser: what it draws at a frame is what the decoder gives for that frame."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recordings
from viewing import Served, serving

from lerobot_core.features import Feature
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer
from lerobot_datasets.video import png

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium on the PATH")

#: the picture that a video element or a canvas shows, as PNG
READ = """element => {
    const sheet = document.createElement("canvas");
    sheet.width = element.videoWidth || element.width;
    sheet.height = element.videoHeight || element.height;
    sheet.getContext("2d").drawImage(element, 0, 0);
    return sheet.toDataURL("image/png").split(",")[1];
}"""
#: a colour of the style sheet, as three numbers
COLOUR = """name => {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
    probe.remove();
    return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Page:
    """A page of the viewer, as somebody at the keyboard uses it."""

    def __init__(self, page: Any, served: Served) -> None:
        self.page, self.served = page, served

    def open(self, link: str = "") -> None:
        self.page.goto(self.served.url + link)
        self.page.wait_for_selector("body.drawn")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def frame(self) -> int:
        return int(self.page.input_value("#scrub"))

    def until(self, condition: str) -> None:
        """Wait for a condition. The tool's own way to wait is refused by the page's security policy."""
        for _ in range(500):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(20)
        pytest.fail(f"waited in vain for {condition}")

    def shows(self, episode: int, frame: int) -> None:
        """Wait until it does."""
        self.until(f"location.hash === '#episode={episode}&frame={frame}'")

    def picture(self, camera: str, frame: int) -> np.ndarray:
        """What a camera shows (H, W, 3) uint8, once it stands at that frame."""
        shown = self.page.wait_for_selector(f"[data-camera='{camera}'] [data-frame='{frame}']")
        return png.decode(base64.b64decode(shown.evaluate(READ)))

    def drawn(self, title: str, colour: str) -> int:
        """How many pixels of a plot have about a colour."""
        canvas = self.page.query_selector(f"[data-title='{title}'] canvas")
        seen = png.decode(base64.b64decode(canvas.evaluate(READ))).astype(int)
        return int((np.abs(seen - self.page.evaluate(COLOUR, colour)) < 24).all(axis=2).sum())

    def rows(self) -> list[int]:
        return sorted(int(row.get_attribute("data-episode")) for row in self.page.query_selector_all(".episode"))


@pytest.fixture
def visit(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Opens the page of a dataset; it may not complain, nor ask anybody else for anything."""
    complaints: list[str] = []
    closing = []

    def at(root: Path, link: str = "", **options: Any) -> Page:
        serving_it = serving(root, "set")
        served = serving_it.__enter__()
        page = browser.new_page(viewport={"width": 1000, "height": 640}, **options)
        closing.append((page, serving_it))
        page.set_default_timeout(30_000)
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if _is_own(asked.url, served.url) else complaints.append(asked.url))
        out = Page(page, served)
        out.open(link)
        return out

    yield at
    for page, serving_it in closing:
        page.close()
        serving_it.__exit__(None, None, None)
    assert not complaints


def _is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:image/png", "blob:" + address))


def nearest(seen: np.ndarray, frames: list[np.ndarray]) -> tuple[int, float]:
    """Which frame a picture is, and how far from it a value is on average."""
    off = [float(np.abs(seen.astype(int) - frame.astype(int)).mean()) for frame in frames]
    return int(np.argmin(off)), min(off)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two episodes in one file with a bar that moves, coded with many frames between key frames."""
    out = {}
    for codec in ("h264", "hevc"):
        out[codec] = tmp_path_factory.mktemp(codec) / "set"
        encoder = EncoderConfig(vcodec=codec, g=12, crf=18, when_full="wait")
        camera = Feature(dtype="video", shape=(96, 128, 3), names=["height", "width", "channels"])
        state = Feature(dtype="float32", shape=(1,))
        writer = Writer.create(out[codec], {"action": state, "observation.images.top": camera}, 15, encoder=encoder)
        for episode, length in enumerate((20, 25)):
            for i in range(length):
                picture = np.full((96, 128, 3), 40 + 100 * episode, dtype=np.uint8)
                picture[:, 4 * i : 4 * i + 8] = (230, 200, 60)
                writer.add({"action": np.float32([i]), "observation.images.top": picture}, task="t")
            writer.save_episode()
        writer.finalize()
    return out


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["video2", "v21", "h264", "hevc"])
def test_a_frame_is_the_frame(visit: Any, fixtures: Path, coded: dict[str, Path], name: str) -> None:
    root = coded.get(name, fixtures / "datasets" / name)
    reader = Reader(root)
    page = visit(root)
    for episode in (1, 0):
        length = reader.all_episodes[episode]["length"]
        page.page.goto(f"{page.served.url}#episode={episode}&frame=3")
        wanted = {camera: list(reader.frames(episode, camera)) for camera in reader.info.video_keys}
        for frame in (3, length - 1, length - 2, 0, length // 2):
            page.page.evaluate(f"location.hash = 'episode={episode}&frame={frame}'")
            for camera, frames in wanted.items():
                found, off = nearest(page.picture(camera, frame), frames)
                assert (found, off < 6) == (frame, True), (camera, frame, off)
    kinds = {
        element.evaluate("e => e.tagName")
        for element in page.page.query_selector_all("#cameras video, #cameras canvas")
    }
    assert kinds == {"VIDEO"} if name != "hevc" else kinds <= {"VIDEO", "CANVAS"}


def test_a_link_is_followed_though_the_page_notes_its_place_meanwhile(visit: Any, fixtures: Path) -> None:
    root = fixtures / "datasets" / "video2"
    page = visit(root, "#episode=0&frame=2")
    page.page.evaluate(
        "const before = location.hash; location.hash = 'episode=0&frame=5'; history.replaceState(null, '', before)"
    )
    page.picture(Reader(root).info.video_keys[0], 5)


def test_pictures_of_tables_and_depth(visit: Any, fixtures: Path, tmp_path: Path) -> None:
    writer = recordings.backend(tmp_path / "set").create(recordings.features("image"), 10)
    recordings.record(writer, [6])
    writer.finalize()
    page = visit(tmp_path / "set", "#episode=0&frame=4")
    np.testing.assert_array_equal(page.picture(recordings.CAMERA, 4), recordings.picture(4))
    page.press("ArrowRight")
    np.testing.assert_array_equal(page.picture(recordings.CAMERA, 5), recordings.picture(5))
    page = visit(fixtures / "datasets" / "depth", "#episode=1&frame=2")
    depth = "observation.images.front_depth"
    stored = png.decode(page.served.ask(f"/data/picture/1/{depth}/2").body)
    np.testing.assert_array_equal(page.picture(depth, 2), stored)
    assert page.page.query_selector(f"[data-camera='{depth}'] .scale").inner_text().split() == [
        "0.33",
        "m",
        "1.25",
        "m",
    ]


def test_it_plays_all_cameras_together_to_the_end(visit: Any, fixtures: Path) -> None:
    root = fixtures / "datasets" / "video2"
    page = visit(root, "#episode=0&frame=2")
    page.picture("observation.images.wrist", 2)
    page.press("[", "Space")
    page.until(
        "(() => { const [a, b] = document.querySelectorAll('video');"
        " return !a.paused && !b.paused && a.currentTime > 0.3 && Math.abs(a.currentTime - b.currentTime) < 1.5 / 30 })()"
    )
    page.press("]", "]")
    page.shows(0, 39)
    assert not page.page.evaluate("document.body.classList.contains('playing')")
    for camera in ("observation.images.front", "observation.images.wrist"):
        assert nearest(page.picture(camera, 39), list(Reader(root).frames(0, camera)))[0] == 39
    page.press("Space")  # from the beginning again
    page.until("document.querySelector('#scrub').valueAsNumber < 30")
    page.press("Space")
    still = page.frame()
    page.picture("observation.images.front", still)
    page.page.wait_for_timeout(150)
    assert page.frame() == still


def test_speed(visit: Any, fixtures: Path) -> None:
    page = visit(fixtures / "datasets" / "state_env")
    page.press("[", "[", "[")
    assert page.page.input_value("#speed") == "0.1×"
    start = time.monotonic()
    page.press("Space")
    page.until("document.querySelector('#scrub').valueAsNumber >= 4")
    assert time.monotonic() - start > 1.0  # 3.5 frames of a thirtieth of a second, at a tenth
    page.press("Space")


# --- plots and texts --------------------------------------------------------------------------------------------------


def test_plots(visit: Any, fixtures: Path) -> None:
    reader = Reader(fixtures / "datasets" / "state_only")
    page, values = visit(reader.root, "#episode=1&frame=12"), reader.columns(1)
    plot = page.page.query_selector("[data-title='gripper.pos']")
    drawn = [page.drawn("gripper.pos", f"curve-{i}") for i in (0, 1)]
    assert min(drawn) > 100
    told = [output.inner_text() for output in plot.query_selector_all("output")]
    assert told == [f"{values[key][12, 5]:.2f}" for key in ("observation.state", "action")]
    plot.query_selector_all(".key")[1].click()  # hides what was commanded
    assert page.drawn("gripper.pos", "curve-0") >= drawn[0]
    assert page.drawn("gripper.pos", "curve-1") < drawn[1] / 10
    page.page.hover("[data-title='gripper.pos'] .area", position={"x": 44, "y": 20})
    assert plot.query_selector("output").inner_text() == f"{values['observation.state'][0, 5]:.2f}"
    page.page.click(
        "[data-title='gripper.pos'] .area",
        position={"x": plot.query_selector(".area").bounding_box()["width"] - 2, "y": 20},
    )
    page.shows(1, 34)
    page.page.click("text=a plot per feature")
    titles = [title.inner_text() for title in page.page.query_selector_all(".plot h3")]
    assert titles == [one["key"] for one in page.served.json("/data/dataset")["series"]]
    assert page.drawn("action", "curve-3") > 50


def test_texts_follow_the_frame(visit: Any, fixtures: Path) -> None:
    reader = Reader(fixtures / "datasets" / "state_only")
    columns = reader.columns(1)
    page = visit(reader.root, "#episode=1&frame=0")
    for frame in (0, 20, 34):
        page.page.evaluate(f"location.hash = 'episode=1&frame={frame}'")
        page.until(f"document.querySelector('#scrub').value === '{frame}'")
        shown = [line.inner_text() for line in page.page.query_selector_all("#texts dd")]
        assert shown == [reader.tasks[columns["task_index"][frame]], columns["note"][frame]]


# --- list, keys and address -------------------------------------------------------------------------------------------


def test_keys(visit: Any, fixtures: Path) -> None:
    page = visit(fixtures / "datasets" / "video2")
    page.press("j")
    page.shows(1, 0)
    page.press("ArrowDown")
    page.shows(2, 0)
    page.press("j")  # there is no further one
    page.press("ArrowRight", "ArrowRight", "Shift+ArrowRight", "ArrowLeft")
    page.shows(2, 11)
    page.press("End")
    page.shows(2, page.served.content.reader.all_episodes[2]["length"] - 1)
    page.press("Home")
    page.shows(2, 0)
    page.press("k", "ArrowUp")
    page.shows(0, 0)
    page.press("?")
    assert page.page.is_visible("#help")
    page.press("Escape")
    assert not page.page.is_visible("#help")
    page.press("/")
    page.page.keyboard.type("stack j")  # letters are text here
    page.until("document.querySelector('#count').textContent === '0 of 3 episodes'")
    page.press("Backspace", "Backspace")
    page.until("document.querySelector('#count').textContent === '1 of 3 episodes'")
    assert page.rows() == [2]
    page.press("Escape", "j")
    page.shows(2, 0)
    page.press("f")
    page.until("document.querySelector('#count').textContent === '0 of 3 episodes'")


def test_theme(visit: Any, fixtures: Path) -> None:
    page = visit(fixtures / "datasets" / "state_env", color_scheme="dark")
    paper = "getComputedStyle(document.body.parentElement).backgroundColor"
    dark = page.page.evaluate(paper)
    page.press("t")
    assert page.page.evaluate(paper) != dark
    page.open()  # it is remembered
    assert page.page.evaluate(paper) != dark


def test_looking_at_all_flags_episodes(visit: Any, tmp_path: Path) -> None:
    writer = recordings.backend(tmp_path / "set").create(recordings.features(), 10)
    for episode in range(8):
        for i in range(40 if episode == 6 else 8):
            writer.add(
                recordings.frame(episode, i) | ({recordings.CAMERA: recordings.picture(3)} if episode == 2 else {}),
                task="t",
            )
        writer.save_episode()
    writer.finalize()
    page = visit(tmp_path / "set")
    flags = lambda: {  # noqa: E731
        int(row.get_attribute("data-episode")): row.query_selector(".flags").inner_text().split()
        for row in page.page.query_selector_all(".episode:has(b)")
    }
    assert flags() == {6: ["length"]}
    page.page.click("#check")
    page.until("document.querySelector('#check').textContent === 'all looked at, 2 flagged'")
    assert flags() == {2: ["frozen"], 6: ["length"]}
    page.press("f")
    page.until("document.querySelector('#count').textContent === '2 of 8 episodes'")
    page.press("j")
    page.shows(2, 0)
    page.page.wait_for_selector("#facts .finding")
    assert "the same picture" in page.page.inner_text("#facts .finding")


def test_narrow_windows_have_a_drawer(visit: Any, fixtures: Path) -> None:
    page = visit(fixtures / "datasets" / "state_env")
    page.page.set_viewport_size({"width": 420, "height": 800})
    page.until("document.querySelector('#list').getBoundingClientRect().right <= 0")
    page.page.click("#drawer")
    page.until("document.querySelector('#list').getBoundingClientRect().left >= 0")
    page.page.click(".episode[data-episode='1']")
    page.shows(1, 0)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 420
