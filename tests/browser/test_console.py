"""The console as people meet it: real application, real browser, pictures that load."""

import io
import re
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

PHONE = (390, 844)
TONES = {"candidate": "#a84300", "filed": "#1d4ed8", "rejected": "#5b6472"}
HAN = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]{3}")


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def near(a: tuple[int, ...], b: tuple[int, ...], tolerance: int = 40) -> bool:
    return all(abs(x - y) <= tolerance for x, y in zip(a[:3], b, strict=True))


def settled(page: Page) -> None:
    """Wait until the map, which has just been told to move, stands still again."""
    page.wait_for_timeout(100)
    page.wait_for_selector('#map[aria-busy="false"]')


def row(page: Page, event: str) -> Locator:
    return page.locator(f'#list [data-event="{event}"]')


def select(page: Page, event: str) -> None:
    row(page, event).click()
    expect(page.locator("#detail")).to_be_visible()
    settled(page)


def map_image(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB")


def centre(image: Image.Image) -> tuple[int, int]:
    return image.width // 2, image.height // 2


def loaded(page: Page, images: str) -> list[tuple[int, int]]:
    """Natural sizes of the images, once each has been read or given up."""
    page.wait_for_function("s => [...document.querySelectorAll(s)].every((i) => i.complete)", arg=images)
    return [
        (width, height)
        for width, height in page.eval_on_selector_all(
            images, "all => all.map((i) => [i.naturalWidth, i.naturalHeight])"
        )
    ]


def test_the_list_shows_every_event_in_both_languages(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    listed = page.eval_on_selector_all("#list [data-event]", "all => all.map((a) => a.dataset.event)")
    assert sorted(listed) == sorted(scene.events)
    for name, event in scene.events.items():
        text = row(page, name).inner_text()
        assert event.name_zh in text
        assert event.name_en in text
    # Every label that is not a number or a name carries both languages, and says which is which.
    for label in page.locator("legend, label, #totals dt, .badge, #detail-nav button").all():
        if label.is_visible():
            text = label.inner_text()
            assert HAN.search(text), text
            assert LATIN.search(text), text
    spans = page.eval_on_selector_all(".both > [lang=en]", "all => all.map((s) => s.textContent)")
    assert spans
    assert not [text for text in spans if HAN.search(text)]


def test_a_click_on_an_event_shows_its_crops_and_all_that_is_known(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    filed = scene.in_state("filed")
    select(page, filed.id)
    assert loaded(page, "#detail-body .crops img") == [scene.crop_size, scene.crop_size]
    text = page.locator("#detail-body").inner_text()
    for known in (filed.name_zh, filed.name_en, filed.code, filed.ticket, "已立案", "Filed", f"{filed.area_m2:.1f} m²"):
        assert known in text, known
    assert f"{filed.score:.2f}" in text
    assert f"{filed.lat:.6f}° N, {filed.lon:.6f}° E" in text
    before, after = page.locator("#detail-body .crops a").all()
    assert page.request.get(scene.url + (before.get_attribute("href") or "")).body() == scene.crops["before"]
    assert page.request.get(scene.url + (after.get_attribute("href") or "")).body() == scene.crops["after"]


def test_thumbnails_in_the_list_load(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    page.locator("#list .row").last.scroll_into_view_if_needed()
    sizes = loaded(page, "#list .thumbs img")
    assert len(sizes) == 2 * len(scene.events)
    assert set(sizes) == {scene.crop_size}


def test_the_map_shows_an_event_where_it_is_and_opens_it_at_a_click(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    for state in ("candidate", "filed", "rejected"):
        event = scene.in_state(state)
        select(page, event.id)
        image = map_image(page)
        assert near(image.getpixel(centre(image)), rgb(TONES[state])), state
        page.locator("#close").click()
        expect(page.locator("#detail")).to_be_hidden()
        x, y = centre(image)
        page.locator("#map").click(position={"x": x, "y": y})
        expect(page.locator("#detail-body")).to_contain_text(event.id)
        page.locator("#close").click()


def test_the_orthophoto_lies_under_the_events_the_right_way_round(watched: Any, scene: Any) -> None:
    """The preview is painted in four colours; each event stands in the middle of one of them."""
    page = watched.open(scene.url)
    assert scene.quadrants
    for name, colour in scene.quadrants.items():
        select(page, name)
        image = map_image(page)
        x, y = centre(image)
        around = [image.getpixel((x + dx, y + dy)) for dx in (-45, 45) for dy in (-45, 45)]
        assert all(near(pixel, rgb(colour), 48) for pixel in around), (name, around)
        page.locator("#close").click()
    page.locator("#layers summary").click()
    page.locator("#preview").select_option("")
    select(page, next(iter(scene.quadrants)))
    image = map_image(page)
    x, y = centre(image)
    assert not near(image.getpixel((x + 45, y + 45)), rgb(next(iter(scene.quadrants.values()))), 48)


def test_only_orthophotos_whose_place_is_certain_can_be_laid_on_the_map(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    page.locator("#layers summary").click()
    offered = page.eval_on_selector_all("#preview option", "all => all.map((o) => o.value)")
    assert offered == ["", scene.orthophoto]


def test_an_orthophoto_with_a_cog_is_laid_on_the_map_by_its_tiles(watched: Any, with_cog: str) -> None:
    page = watched.open(with_cog)
    image = map_image(page)
    assert near(image.getpixel(centre(image)), (0, 200, 0))
    tiles = [url for url in watched.requests if "/tiles/collections/orthophotos/items/green/assets/original/" in url]
    assert tiles
    page.locator("#layers summary").click()
    page.locator("#preview").select_option("")
    image = map_image(page)
    assert not near(image.getpixel(centre(image)), (0, 200, 0))


def test_all_pages_of_the_search_are_read(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    assert scene.photos > 200  # more than the page asks for at once
    assert page.locator("#totals").inner_text().split().count(str(scene.photos)) == 1
    assert sum("/stac/search" in url and "collections=photos" in url for url in watched.requests) >= 2


def test_a_click_on_the_ground_tells_what_was_captured_there(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    select(page, next(iter(scene.quadrants)))
    page.locator("#close").click()
    image = map_image(page)
    x, y = centre(image)
    page.locator("#map").click(position={"x": x + 120, "y": y + 60})
    captures = page.locator("#captures")
    expect(captures).to_be_visible()
    text = captures.inner_text()
    assert "正射影像" in text
    assert "Orthophotos" in text
    assert "影像地理参考" in text
    links = captures.locator("li a")
    item = page.request.get(scene.url + (links.first.get_attribute("href") or "")).json()
    assert item["type"] == "Feature"
    page.keyboard.press("Escape")
    expect(captures).to_be_hidden()


def test_photos_are_drawn_on_demand_where_they_are_many(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    select(page, next(iter(scene.quadrants)))
    page.locator("#close").click()
    x, y = centre(map_image(page))
    page.locator("#map").click(position={"x": x + 120, "y": y + 60})
    captures = page.locator("#captures")
    expect(captures).to_be_visible()
    expect(captures).not_to_contain_text("DJI_")
    page.locator("#layers summary").click()
    page.get_by_role("checkbox", name="照片 Photos").check()
    page.locator("#layers summary").click()
    settled(page)
    page.locator("#map").click(position={"x": x + 120, "y": y + 60})
    expect(captures).to_contain_text("DJI_")
    expect(captures).to_contain_text("the camera's pose over flat ground")


def test_filters_choose_by_state_and_by_class(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    rows = page.locator("#list .row")
    for state in {event.state for event in scene.events.values()}:
        page.locator(f'#states input[value="{state}"]').check(force=True)
        expect(rows).to_have_count(sum(event.state == state for event in scene.events.values()))
    page.locator('#states input[value=""]').check(force=True)
    for kind in {event.kind for event in scene.events.values()}:
        page.locator("#classes").select_option(kind)
        expect(rows).to_have_count(sum(event.kind == kind for event in scene.events.values()))
    wanted = scene.in_state("filed")
    page.locator("#classes").select_option(wanted.kind)
    page.locator('#states input[value="filed"]').check(force=True)
    expect(row(page, wanted.id)).to_be_visible()


def test_the_map_hides_what_the_filter_leaves_out(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    event = scene.in_state("rejected")
    select(page, event.id)
    page.locator("#close").click()
    page.locator('#states input[value="filed"]').check(force=True)
    settled(page)
    image = map_image(page)
    assert not near(image.getpixel(centre(image)), rgb(TONES["rejected"]), 20)
    x, y = centre(image)
    page.locator("#map").click(position={"x": x, "y": y})
    expect(page.locator("#detail")).to_be_hidden()


def test_the_keyboard_alone_reaches_opens_and_leaves_an_event(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    page.keyboard.press("Tab")
    assert "跳到事件列表" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    for _ in range(8):
        page.keyboard.press("Tab")
        if name := page.evaluate("document.activeElement.dataset.event"):
            break
    assert name in scene.events
    page.keyboard.press("Enter")
    expect(page.locator("#detail-body")).to_contain_text(name)
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.event") == name


def test_next_and_the_browsers_back_button_walk_through_the_list(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    order = page.eval_on_selector_all("#list [data-event]", "all => all.map((a) => a.dataset.event)")
    select(page, order[0])
    page.locator("#next").click()
    expect(page.locator("#detail-body")).to_contain_text(order[1])
    page.go_back()
    expect(page.locator("#detail-body")).to_contain_text(order[0])
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()
    page.goto(f"{scene.url}/console/#event/{order[1]}")
    expect(page.locator("#detail-body")).to_contain_text(order[1])


def test_text_from_the_server_stays_text(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    select(page, scene.in_state("filed").id)
    expect(page.locator("#detail-body")).to_contain_text(scene.hostile_flight)
    page.locator("#close").click()
    x, y = centre(map_image(page))
    page.locator("#map").click(position={"x": x + 120, "y": y + 60})
    expect(page.locator("#captures")).to_contain_text(scene.hostile_flight)
    expect(page.locator("#captures")).to_contain_text(scene.hostile_file)
    assert page.evaluate("window.pwned") is None
    assert page.locator("script").count() == 1
    assert page.locator('img[src="x"]').count() == 0


def test_the_pages_policy_stops_a_script_that_got_in(browser: Any, bundle: Any, scene: Any) -> None:
    page = browser.new_page()
    page.goto(f"{scene.url}/console/")
    page.wait_for_selector("body[data-ready]")
    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.pwned = 1";
      document.head.append(script);
      document.body.insertAdjacentHTML("beforeend", '<img src=x onerror="window.pwned = 1">');
    }""")
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned") is None
    page.close()


def test_it_fits_a_phone(watched: Any, scene: Any) -> None:
    width, height = PHONE
    page = watched.open(scene.url, width=width, height=height, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    place, listed = page.locator("#map").bounding_box(), page.locator("#panel").bounding_box()
    assert place["width"] == width
    assert place["y"] + place["height"] <= listed["y"] + 1
    filed = scene.in_state("filed")
    row(page, filed.id).tap()
    expect(page.locator("#detail-body")).to_contain_text(filed.ticket)
    assert loaded(page, "#detail-body .crops img") == [scene.crop_size, scene.crop_size]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#detail-body h2").bounding_box()["y"] >= place["height"] - 1  # not behind the map
    wide = page.eval_on_selector_all(
        "#panel *",
        "(all, width) => all.filter((e) => e.offsetParent && e.getBoundingClientRect().right > width + 1)"
        ".map((e) => e.outerHTML.slice(0, 80))",
        width,
    )
    assert wide == []
    small = page.eval_on_selector_all(
        "button, #detail nav a[href], select, .chip, .layers summary",
        "all => all.filter((e) => e.offsetParent && e.getBoundingClientRect().height < 24).map((e) => e.outerHTML)",
    )
    assert small == []  # WCAG 2.5.8


CONTRAST = """
() => {
  const parse = (c) => (c.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.5) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.offsetParent || e.closest("script, noscript")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walk.currentNode.data.trim()]);
  }
  return found;
}
"""


def test_every_text_has_enough_contrast(watched: Any, scene: Any) -> None:
    page = watched.open(scene.url)
    page.locator("#layers summary").click()
    measured = page.evaluate(CONTRAST)
    select(page, scene.in_state("candidate").id)
    measured += page.evaluate(CONTRAST)
    assert len(measured) > 60
    assert [(ratio, text) for ratio, text in measured if ratio < 4.5] == []


def test_an_empty_catalogue_says_what_to_run(watched: Any, empty: str) -> None:
    page = watched.open(empty)
    text = page.locator("#status").inner_text()
    assert "目录还是空的" in text
    assert "The catalogue is empty" in text
    assert "flyonce demo" in text
    assert "flyonce ingest" in text
    assert page.locator("#list .row").count() == 0
    expect(page.locator("#filters")).to_be_hidden()


def test_without_webgl_the_list_still_works(launch: Any, bundle: Any, scene: Any) -> None:
    browser = launch(["--disable-gpu", "--disable-3d-apis"])
    page = browser.new_page()
    page.goto(f"{scene.url}/console/")
    page.wait_for_selector("body[data-ready]")
    expect(page.locator("#map")).to_contain_text("WebGL 2")
    expect(page.locator("#list .row")).to_have_count(len(scene.events))
    page.locator("#list .row").first.click()
    assert loaded(page, "#detail-body .crops img") == [scene.crop_size, scene.crop_size]
    browser.close()


@pytest.mark.parametrize("status", [401, 500])
def test_a_refusal_is_said_and_not_shown_as_emptiness(browser: Any, bundle: Any, scene: Any, status: int) -> None:
    page = browser.new_page()
    page.route("**/api/events*", lambda route: route.fulfill(status=status, json={"title": "no"}))
    page.goto(f"{scene.url}/console/")
    page.wait_for_selector("body[data-ready]")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(str(status))
    expect(alert).to_contain_text("API key" if status == 401 else "Could not be read")
    page.close()


def test_with_an_api_key_the_browsers_own_login_is_enough(watched: Any, keyed: Any) -> None:
    url, key = keyed
    page = watched.open(url, http_credentials={"username": "anyone", "password": key})
    expect(page.locator("#status")).to_contain_text("The catalogue is empty")
    assert httpx.get(f"{url}/api/stats").status_code == 401
