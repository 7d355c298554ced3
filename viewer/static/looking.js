// Looking around in a panorama with mouse, fingers, wheel and keys.

const KEYS = {
  ArrowLeft: (p) => p.turn(p.look.heading - 0.15, p.look.elevation),
  ArrowRight: (p) => p.turn(p.look.heading + 0.15, p.look.elevation),
  ArrowUp: (p) => p.turn(p.look.heading, p.look.elevation + 0.12),
  ArrowDown: (p) => p.turn(p.look.heading, p.look.elevation - 0.12),
  "+": (p) => p.zoom(0.9),
  "=": (p) => p.zoom(0.9),
  "-": (p) => p.zoom(1.1),
};

// `held()` is called when somebody begins to look around.
export function lookAround(canvas, panorama, held) {
  const fingers = new Map();

  canvas.addEventListener("pointerdown", (event) => {
    held();
    fingers.set(event.pointerId, event);
    canvas.setPointerCapture(event.pointerId);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 2) {
      const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
      const span = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      panorama.zoom(span(before) / Math.max(1, span(event)));
    } else {
      const perPixel = panorama.look.field / canvas.clientHeight;
      panorama.turn(
        panorama.look.heading - (event.clientX - before.clientX) * perPixel,
        panorama.look.elevation + (event.clientY - before.clientY) * perPixel,
      );
    }
    fingers.set(event.pointerId, event);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      panorama.zoom(Math.exp(event.deltaY * 0.001));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    held();
    act(panorama);
  });
}
