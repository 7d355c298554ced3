// Turning and zooming a panorama with mouse, touch, wheel and keys.

const KEYS = {
  ArrowLeft: (p) => p.turn(p.camera.heading - 0.15, p.camera.elevation),
  ArrowRight: (p) => p.turn(p.camera.heading + 0.15, p.camera.elevation),
  ArrowUp: (p) => p.turn(p.camera.heading, p.camera.elevation + 0.12),
  ArrowDown: (p) => p.turn(p.camera.heading, p.camera.elevation - 0.12),
  "+": (p) => p.zoom(0.9),
  "=": (p) => p.zoom(0.9),
  "-": (p) => p.zoom(1.1),
};

// `onStart()` is called when the user starts to turn the panorama.
export function enableLookAround(canvas, panorama, onStart) {
  const pointers = new Map(); // last event of each pressed pointer

  canvas.addEventListener("pointerdown", (event) => {
    onStart();
    pointers.set(event.pointerId, event);
    canvas.setPointerCapture(event.pointerId);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const previous = pointers.get(event.pointerId);
    if (!previous) return;
    if (pointers.size === 2) {
      const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
      const distance = ({ clientX, clientY }) =>
        Math.hypot(clientX - other.clientX, clientY - other.clientY);
      panorama.zoom(distance(previous) / Math.max(1, distance(event)));
    } else {
      const radiansPerPixel = panorama.camera.field / canvas.clientHeight;
      panorama.turn(
        panorama.camera.heading - (event.clientX - previous.clientX) * radiansPerPixel,
        panorama.camera.elevation + (event.clientY - previous.clientY) * radiansPerPixel,
      );
    }
    pointers.set(event.pointerId, event);
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
    const action = KEYS[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    onStart();
    action(panorama);
  });
}
