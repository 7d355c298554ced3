"""The page in narrow and low windows, with long names of agents."""

from urllib.parse import quote

import msgspec
import pytest

from clipnav.envs.pictures.panorama_files import DrawnPictures

LONG = 'follower with a very long name, <b>beam search</b> & "quotes" of run/number/0123456789'


@pytest.fixture(scope="module")
def long_url(make_library, traces, grey, serve, tmp_path_factory):
    """Address of a page whose second agent has a long name, and a step with one candidate."""
    folder = tmp_path_factory.mktemp("sizes")
    library = make_library()
    (step,) = traces[0].steps[-1:]
    alone = msgspec.structs.replace(step, candidates=step.candidates[:1])
    library.add([msgspec.structs.replace(traces[0], agent=LONG)])
    library.add([msgspec.structs.replace(traces[0], agent="short", steps=(alone,))])
    with serve(library, DrawnPictures(grey, lambda scan: folder / scan), folder) as url:
        yield url


def boxes(page, selector):
    return [one.bounding_box() for one in page.locator(selector).all()]


@pytest.mark.parametrize(("width", "height"), [(390, 844), (720, 450), (844, 390)])
def test_long_names_fit_small_windows(page, long_url, opened, width, height):
    page.set_viewport_size({"width": width, "height": height})
    opened(page, long_url, b=quote(LONG))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert all(box["x"] + box["width"] <= width for box in boxes(page, ".agents select"))


def test_two_views_stand_side_by_side_in_low_windows(page, long_url, opened):
    page.set_viewport_size({"width": 720, "height": 450})
    opened(page, long_url, b=quote(LONG))
    first, second = boxes(page, ".view")
    assert first["y"] == second["y"]
    assert first["height"] >= 200
    page.set_viewport_size({"width": 390, "height": 844})
    first, second = boxes(page, ".view")
    assert first["x"] == second["x"]


@pytest.mark.parametrize("width", [390, 900, 1280])
def test_the_legends_of_two_charts_are_whole(page, long_url, opened, width):
    page.set_viewport_size({"width": width, "height": 844})
    opened(page, long_url, b=quote(LONG))
    assert page.locator(".charts svg").count() == 2
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".charts text")]
          .filter((one) => one.getBoundingClientRect().right
            > one.closest("svg").getBoundingClientRect().right)
          .map((one) => one.textContent)"""
    )
    assert cut == []


def test_the_names_above_the_metrics_are_apart(page, long_url, opened):
    opened(page, long_url, b=quote(LONG))
    first, second = page.evaluate(
        """() => [...document.querySelectorAll(".metrics thead th")].map((head) => {
          const range = new Range();
          range.selectNodeContents(head);
          const { left, right } = range.getBoundingClientRect();
          return { left, right };
        })"""
    )
    assert second["left"] - first["right"] >= 8


def test_no_scale_covers_markers(page, long_url, opened):
    opened(page, long_url)
    assert page.evaluate(
        """() => {
          const [scale, markers] = [".scale", "svg.markers"].map((s) => document.querySelector(s));
          return (scale.compareDocumentPosition(markers) & Node.DOCUMENT_POSITION_FOLLOWING) > 0;
        }"""
    )


def test_one_candidate_is_announced_as_one(page, long_url, opened):
    opened(page, long_url, a="short")
    assert "1 candidate," in page.locator("#live").inner_text()
