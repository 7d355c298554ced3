// Animations. If the system requests reduced motion, each one jumps to its end.

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export const motion = {
  speed: 1,
  // A hidden tab gets no animation frames, so an animation would never finish there.
  get reduced() {
    return reducedMotion.matches || document.hidden;
  },
};

const ease = (progress) => progress * progress * (3 - 2 * progress);

// Calls `paint(progress)` with progress from 0 to 1 and resolves to true, or to false if `signal`
// aborts first.
export function animate(milliseconds, paint, signal) {
  if (signal.aborted) return Promise.resolve(false);
  if (motion.reduced || !milliseconds) {
    paint(1);
    return Promise.resolve(true);
  }
  return new Promise((resolve) => {
    let elapsed = 0;
    let previous = null;
    const frame = (now) => {
      if (signal.aborted) return resolve(false);
      // The user may change the speed during the animation.
      elapsed += previous === null ? 0 : (now - previous) * motion.speed;
      previous = now;
      const progress = motion.reduced ? 1 : Math.min(1, elapsed / milliseconds);
      paint(ease(progress));
      if (progress === 1) resolve(true);
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

// Resolves to true after a delay, or to false if `signal` aborts first.
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const timer = setTimeout(() => resolve(true), milliseconds / motion.speed);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(false)), { once: true });
  });
}

// Signed angle of the shorter turn between two headings, in radians, positive to the right.
export function turnBetween(from, to) {
  return Math.atan2(Math.sin(to - from), Math.cos(to - from));
}
