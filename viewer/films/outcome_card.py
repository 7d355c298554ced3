"""The card at the end of a film: outcome and metrics of the walk."""

from PIL import Image

from clipnav.storage.errors import counted
from clipnav.viewer.films.canvas import CARD, INK, MUTED, Canvas, text_width
from clipnav.viewer.films.style import Style
from clipnav.viewer.films.timeline import Walk
from clipnav.viewer.trace import Outcome, Trace, outcome

COLOURS: dict[Outcome, tuple[int, int, int]] = {
    "success": (0, 128, 94),
    "wrong stop": (196, 127, 0),
    "lost": (176, 58, 16),
    "unknown": MUTED,
}
_TITLES: dict[Outcome, str] = {
    "success": "Success",
    "wrong stop": "Wrong stop",
    "lost": "Lost",
    "unknown": "End of the walk",
}
_SIZE = (460, 214)


def draw_card(picture: Image.Image, walk: Walk, style: Style, shown: float) -> None:
    """Darken a picture (RGBA) and draw the card on it.

    Args:
        picture: Picture to draw on.
        walk: The finished walk.
        style: Style of its agent.
        shown: Opacity of the card, 0..1.
    """
    trace = walk.trace
    picture.alpha_composite(Image.new("RGBA", picture.size, (16, 21, 28, round(120 * shown))))
    unit = min(style.unit, picture.width / _SIZE[0] * 0.92, picture.height / _SIZE[1] * 0.86)
    card = _card(trace, unit)
    card.putalpha(card.getchannel("A").point([round(value * shown) for value in range(256)]))
    left, top = (picture.width - card.width) // 2, (picture.height - card.height) // 2
    picture.alpha_composite(card, (left, top + round((1 - shown) * 20 * unit)))


def _card(trace: Trace, unit: float) -> Image.Image:
    width, height = round(_SIZE[0] * unit), round(_SIZE[1] * unit)
    canvas = Canvas((width, height), (0, 0, 0, 0))
    kind = outcome(trace)
    colour = COLOURS[kind]
    canvas.box((0, 0, width, height), (*CARD, 255), 16 * unit)
    centre = (50 * unit, 52 * unit)
    canvas.circle(centre, 26 * unit, colour)
    _sign(canvas, centre, kind, unit)
    canvas.text((92 * unit, 46 * unit), _TITLES[kind], 30 * unit, colour, "lm", bold=True)
    sentence, room = _sentence(trace), width - 110 * unit
    letters = min(15 * unit, 15 * unit * room / text_width(sentence, 15 * unit))
    canvas.text((93 * unit, 80 * unit), sentence, letters, INK, "lm")
    figures = _figures(trace)
    for column, (name, value) in enumerate(figures):
        x = (column + 0.5) * width / len(figures)
        canvas.text((x, 140 * unit), value, 23 * unit, INK, "mm", bold=True)
        canvas.text((x, 172 * unit), name, 13 * unit, MUTED, "mm")
    return canvas.finished()


def _sign(canvas: Canvas, centre: tuple[float, float], kind: Outcome, unit: float) -> None:
    x, y = centre

    def stroke(*points: tuple[float, float]) -> None:
        canvas.line([(x + a * unit, y + b * unit) for a, b in points], CARD, 5 * unit)

    if kind == "success":
        stroke((-11, 1), (-3, 9), (12, -9))
    elif kind == "unknown":
        stroke((-10, 0), (10, 0))
    else:
        stroke((-9, -9), (9, 9))
        stroke((-9, 9), (9, -9))


def _sentence(trace: Trace) -> str:
    last = trace.steps[-1]
    ending = "stopped" if trace.ending == "stopped" else "ended without stopping"
    moves = len(trace.steps) - 1
    ending += f" after {counted(moves, 'move')}"
    if last.distance_to_goal is None:
        return f"{ending}; the goal is not known"
    return f"{ending}, {last.distance_to_goal:.1f} m from the goal"


def _figures(trace: Trace) -> list[tuple[str, str]]:
    final = trace.steps[-1].metrics
    if not final:
        return [("moves", str(len(trace.steps) - 1))]
    length = trace.steps[0].distance_to_goal
    lengths = [("walked", f"{final['TL']:.1f} m")] if "TL" in final else []
    if length is not None:
        lengths.append(("shortest", f"{length:.1f} m"))
    scores = [(name, f"{100 * final[name]:.1f} %") for name in ("SPL", "nDTW") if name in final]
    return [*scores, *lengths]
