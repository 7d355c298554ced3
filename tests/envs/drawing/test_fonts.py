import pytest
from PIL import features

from clipnav.envs.drawing import fonts
from clipnav.envs.drawing.fonts import MissingFontError, font_for

HINDI, TELUGU = "दरवाज़े के पास रुकें।", "తలుపు దగ్గర ఆగండి."


@pytest.fixture(autouse=True)
def fresh():
    fonts._path.cache_clear()
    yield
    fonts._path.cache_clear()


@pytest.mark.usefixtures("no_system_fonts")
def test_european_letters_require_no_system_font():
    assert font_for("Stop at the café, 3 m.", 18).getname() == ("DejaVu Sans", "Book")
    assert font_for("Stop", 18, bold=True).getname() == ("DejaVu Sans", "Bold")


@pytest.mark.usefixtures("no_system_fonts")
@pytest.mark.parametrize(("text", "script"), [(HINDI, "DEVANAGARI"), (TELUGU, "TELUGU")])
def test_the_error_names_the_missing_script_and_the_remedy(text, script):
    with pytest.raises(MissingFontError, match=rf"no font .*{script} .*fonts-noto-core"):
        font_for(text, 18)


def test_scripts_that_require_shaping_are_refused_without_libfribidi(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    with pytest.raises(MissingFontError, match="libfribidi0"):
        font_for(HINDI, 18)
    assert font_for("Stop.", 18)


@pytest.mark.parametrize(
    ("text", "joined"),
    # A conjunct is narrower than its letters one by one.
    [(HINDI, "क्ष"), (TELUGU, "క్ష")],
)
def test_indian_scripts_are_drawn_and_shaped(text, joined):
    try:
        font = font_for(text + joined, 40)
    except MissingFontError as error:
        pytest.skip(str(error))
    assert font.getmask(text).getbbox()
    assert font.getlength(joined) < 0.9 * sum(font.getlength(letter) for letter in joined)


def test_damaged_fonts_are_ignored(monkeypatch, tmp_path):
    damaged = tmp_path / "damaged.ttf"
    damaged.write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_system_fonts", lambda: (damaged,))
    with pytest.raises(MissingFontError):
        font_for(HINDI, 18)
