"""The page at /, in a real browser that is driven by Playwright, before a real server."""

import base64
import contextlib
import json
import re
import shutil

import pytest
from page_captioner import TOO_LONG, WORDS, picture, write_page_captioner
from page_probes import BRIGHTEST, TOO_FAINT, VOICE
from PIL import Image
from server_thread import running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NAME = "50%+é"  # whose path needs quoting
RED = "a red picture 60 wide"
PREDICT = re.compile(r"/v1/models/.*:predict")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_page_captioner(tmp_path_factory.mktemp("page") / "1").parent


@pytest.fixture(scope="module")
def server(base):
    with running(base, NAME) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(browser, server):
    """Opens the page; at the end the browser must have had nothing to complain of."""
    expect.set_options(timeout=20_000)
    with contextlib.ExitStack() as stack:

        def open_(url=server.url, **options):
            options = {"reduced_motion": "reduce", **options}
            context = stack.enter_context(browser.new_context(**options))
            context.add_init_script(VOICE)
            context.set_default_timeout(20_000)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(("error", str(error))))
            page.on("console", lambda line: complaints.append((line.type, line.text)))
            page.goto(url)
            return page

        complaints = []
        yield open_
    errors = [text for kind, text in complaints if kind == "error"]
    # That an answer has a bad status is said by the browser itself, and by the page in its place.
    assert [text for text in errors if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def page(open_page):
    return open_page()


def choose(page, file, caption: str | None = None):
    """Choose a picture, and wait until all is said of it."""
    page.get_by_label("Choose a picture").set_input_files(file)
    if caption:
        expect(page.locator("#caption")).to_have_text(caption)
        expect(page.get_by_role("heading", name="Best captions")).to_be_visible()


def test_the_caption_appears_and_is_announced(page):
    caption = page.locator("#caption")
    # A live region speaks if it was there before its text.
    expect(caption).to_have_role("status")
    assert caption.evaluate("element => element.checkVisibility()")
    choose(page, picture(), RED)
    assert caption.evaluate("element => element.lang") == "en"
    expect(page.get_by_role("img", name=RED)).to_be_visible()
    expect(page.locator("#captions")).to_match_aria_snapshot("""
    - list:
      - listitem: a red picture 60 wide 100%
      - listitem: red 50%
      - listitem: picture 25%
    """)


def test_what_a_screen_reader_finds(page):
    choose(page, picture(), RED)
    page.get_by_role("radio").nth(2).check()
    expect(page.locator("body")).to_match_aria_snapshot("""
    - banner:
      - heading "What does the picture show?" [level=1]
      - paragraph
    - main:
      - region "Picture":
        - heading "Picture" [level=2]
        - img "a red picture 60 wide"
        - button "Choose a picture"
        - paragraph
      - region "Caption":
        - heading "Caption" [level=2]
        - status
        - status: a red picture 60 wide
        - button "Speak"
        - paragraph: A model wrote this. It can be wrong.
        - alert
      - region "Word by word":
        - heading "Word by word" [level=2]
        - paragraph
        - radiogroup "Word by word":
          - radio "whole picture"
          - 'radio "a : 90% sure, looking at the upper left"'
          - 'radio "red : 80% sure, looking at the top" [checked]'
          - 'radio "picture : 70% sure, looking at the upper right"'
          - 'radio "60 : 60% sure, looking at the left"'
          - 'radio "wide : 50% sure, looking at the centre"'
        - button "Play"
      - region "Best captions"
      - region "Begin a caption yourself":
        - heading "Begin a caption yourself" [level=2]
        - text: How the caption begins
        - textbox "How the caption begins"
        - button "Complete"
        - status
        - alert
    """)


def brightest(page) -> tuple[int, int]:
    """Return which cell, of three times three, the canvas leaves brightest."""
    _, x, y = page.locator("#attention").evaluate(BRIGHTEST)
    return int(3 * y), int(3 * x)


def test_arrow_keys_go_through_the_attention_of_the_words(page):
    choose(page, picture(), RED)
    canvas = page.locator("#attention")
    page.get_by_role("radio", name="whole picture").focus()
    for word in range(WORDS):
        page.keyboard.press("ArrowRight")
        assert brightest(page) == divmod(word, 3)
        assert page.locator("#detail").inner_text().startswith(RED.split()[word])
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="whole picture")).to_be_checked()
    assert canvas.evaluate(BRIGHTEST) == [0, 0, 0]
    box = canvas.bounding_box()
    assert box == page.locator("#preview").bounding_box()
    assert box["width"] == pytest.approx(2 * box["height"], rel=0.01)


def test_a_mouse_looks_at_a_word_and_goes_away(open_page):
    page = open_page(reduced_motion="no-preference")
    choose(page, picture(), RED)
    page.locator("#words label", has_text="picture").last.hover()
    expect(page.locator("#detail")).to_contain_text("picture: 70% sure")
    page.wait_for_timeout(400)  # the turn from one field to the next
    assert brightest(page) == (0, 2)
    page.get_by_role("heading", level=1).hover()
    expect(page.locator("#detail")).to_be_empty()
    page.wait_for_timeout(400)
    assert page.locator("#attention").evaluate(BRIGHTEST) == [0, 0, 0]


def test_play_goes_through_the_words_and_ends(page):
    choose(page, picture(), RED)
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    for word in range(WORDS):
        assert brightest(page) == divmod(word, 3)
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        page.clock.run_for(1000)
    expect(page.get_by_role("radio", name="whole picture")).to_be_checked()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").click()
    page.clock.run_for(5000)
    assert brightest(page) == (0, 0)


def test_a_prompt_is_completed_and_shown_as_text(page):
    choose(page, picture("blue"), "a blue picture 60 wide")
    page.get_by_label("How the caption begins").fill("<b>the</b> sea is")
    page.get_by_role("button", name="Complete").click()
    expect(page.locator("#completed")).to_have_text("<b>the</b> sea is blue")
    page.get_by_label("How the caption begins").fill("word " * 21)
    page.keyboard.press("Enter")
    said = TOO_LONG.replace("prompt", "The beginning") + "."
    expect(page.locator("#prompt-problem")).to_have_text(said)
    expect(page.locator("#completed")).to_be_empty()


def test_keyboard_alone_from_start_to_end(page):
    def focused():
        element = page.locator(":focus")
        outline = """element => {
          const seen = element.closest("label") ?? element;
          return getComputedStyle(seen).outlineStyle;
        }"""
        assert element.evaluate(outline) == "solid"
        name = "element => (element.labels?.[0] ?? element).textContent.trim()"
        return element.evaluate(name)

    page.on("filechooser", lambda chooser: chooser.set_files(picture("green")))
    page.keyboard.press("Tab")
    assert focused() == "Choose a picture"
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name="Best captions")).to_be_visible()
    page.keyboard.press("Tab")
    if focused() == "Take a photo":  # where there may be a camera
        page.keyboard.press("Tab")
    assert focused() == "Speak"
    page.keyboard.press("Space")
    assert page.evaluate("() => speechSynthesis.spoken") == ["a green picture 60 wide"]
    page.keyboard.press("Tab")
    assert focused() == "whole picture"
    page.keyboard.press("ArrowDown")
    assert brightest(page) == (0, 0)
    page.keyboard.press("Tab")
    assert focused() == "Play"
    page.keyboard.press("Tab")
    assert focused() == "How the caption begins"
    page.keyboard.type("it is")
    page.keyboard.press("Enter")
    expect(page.locator("#completed")).to_have_text("it is green")


def test_a_bad_picture_is_one_sentence(page):
    bad = {"name": "bad.png", "mimeType": "image/png", "buffer": b"this is no picture"}
    with page.expect_request(PREDICT) as request:
        choose(page, bad)
    sent = json.loads(request.value.post_data)["instances"][0]["image_bytes"]["b64"]
    assert base64.b64decode(sent) == bad["buffer"]  # the server may read what the browser cannot
    problem = page.locator("#problem")
    expect(problem).to_have_text(re.compile(r"^This picture cannot be decoded: give .* pixels\.$"))
    expect(problem).to_have_role("alert")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    choose(page, picture(), RED)
    expect(problem).to_be_empty()


@pytest.mark.parametrize(
    ("status", "sentence", "temporary"),
    [
        (413, "The picture is too large: choose one of less than 25.1 MB.", False),
        (429, "The server is busy: try again in a moment.", True),
        (504, "The server took too long: try again in a moment.", True),
        (500, "The server cannot do this: status 500.", False),
    ],
)
def test_a_refusal_is_one_sentence(page, status, sentence, temporary):
    page.route(PREDICT, lambda route: route.fulfill(status=status, body="<html>"), times=1)
    choose(page, picture())
    expect(page.locator("#problem")).to_have_text(sentence)
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_visible(visible=temporary)
    if temporary:
        again.click()
        expect(page.locator("#caption")).to_have_text(RED)
        expect(again).to_be_hidden()
        expect(page.get_by_role("heading", name="Caption", exact=True)).to_be_focused()


def test_a_file_too_large_is_not_sent(page):
    about = {"model": NAME, "max_request_bytes": 300_000}
    page.route("**/page.json", lambda route: route.fulfill(json=about))
    page.route(PREDICT, lambda route: pytest.fail("was sent"))
    choose(page, {"name": "f", "mimeType": "image/tiff", "buffer": bytes(250_000)})
    expect(page.locator("#problem")).to_have_text(
        "The picture is too large: choose one of less than 0.2 MB."
    )


def test_a_server_that_has_stopped_is_one_sentence(open_page, base):
    with running(base, NAME) as server:
        page = open_page(server.url)
        choose(page, picture(), RED)
    choose(page, picture("blue"))
    expect(page.locator("#problem")).to_have_text(
        "The server does not answer: see whether it runs, and try again."
    )
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.locator("#caption")).to_be_empty()


def test_large_pictures_are_scaled_down_and_small_ones_sent_as_they_are(page):
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying; upright it is 600 wide and 2400 high
    large = picture("blue", (2400, 600), "JPEG", exif=turned)
    choose(page, large, "a blue picture 256 wide")
    small = picture("blue", (1024, 600), "JPEG", exif=turned)
    with page.expect_request(PREDICT) as request:
        choose(page, small)
    sent = json.loads(request.value.post_data)["instances"][0]["image_bytes"]["b64"]
    assert base64.b64decode(sent) == small["buffer"]
    # Formats that browsers read and the model may not.
    choose(page, {**picture(), "mimeType": "image/avif"}, RED)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page, event):
    make = """(files) => {
      const transfer = new DataTransfer();
      for (const text of files) {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
      }
      return transfer;
    }"""
    file = base64.b64encode(picture()["buffer"]).decode()

    def give(files):
        page.evaluate(
            """([event, data]) => document.body.dispatchEvent(event === "drop"
              ? new DragEvent(event, {dataTransfer: data, bubbles: true})
              : new ClipboardEvent(event, {clipboardData: data, bubbles: true}))""",
            [event, page.evaluate_handle(make, files)],
        )

    give([file])
    expect(page.locator("#caption")).to_have_text(RED)
    give([])
    said = "What was dropped is no file: save the picture first, then choose it."
    expect(page.locator("#problem")).to_have_text(said if event == "drop" else "")


def test_the_last_picture_wins(page):
    held = []
    page.route(PREDICT, lambda route: held.append(route), times=1)
    with page.expect_request(PREDICT):
        choose(page, picture("blue"))
    choose(page, picture(), RED)
    held[0].continue_()
    page.wait_for_timeout(300)
    expect(page.locator("#caption")).to_have_text(RED)
    expect(page.locator("#problem")).to_be_empty()


def test_a_phone_shows_the_page_whole(open_page):
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    width = "() => [document.documentElement.scrollWidth, visualViewport.width]"
    assert page.evaluate(width) == [360, 360]
    camera = page.get_by_label("Take a photo")
    assert camera.get_attribute("capture") == "environment"
    camera.set_input_files(picture())
    expect(page.get_by_role("heading", name="Best captions")).to_be_visible()
    page.locator("#words label").last.tap()
    assert brightest(page) == (1, 1)
    expect(page.locator("#preview")).to_be_in_viewport(ratio=1)
    page.locator("#words label").nth(2).tap()
    assert brightest(page) == (0, 1)
    assert page.evaluate(width) == [360, 360]
    small = """() => [...document.querySelectorAll("button, label.button, #words label, #prompt")]
      .filter((element) => element.checkVisibility() && element.clientHeight < 36)
      .map((element) => element.textContent)"""
    assert page.evaluate(small) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out(open_page, scheme):
    page = open_page(color_scheme=scheme)
    choose(page, picture(), RED)
    page.get_by_role("radio").nth(1).check()
    page.route(PREDICT, lambda route: route.fulfill(status=429, json={}))
    page.get_by_label("How the caption begins").fill("a")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt-problem")).not_to_be_empty()
    assert page.evaluate(TOO_FAINT) == []
