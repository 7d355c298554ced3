// Movement of what is shown: over time for most people, at once for those who asked their system
// for reduced motion.

const asked = matchMedia("(prefers-reduced-motion: reduce)");

export const motion = {
  speed: 1,
  // A hidden tab paints no frames: nothing would ever arrive there.
  get reduced() {
    return asked.matches || document.hidden;
  },
};

const ease = (share) => share * share * (3 - 2 * share);

// Calls `paint` with a share of the way that grows from 0 to 1 and resolves to true, or to false if
// `signal` ends it before.
export function animate(milliseconds, paint, signal) {
  if (signal.aborted) return Promise.resolve(false);
  if (motion.reduced || !milliseconds) {
    paint(1);
    return Promise.resolve(true);
  }
  return new Promise((done) => {
    let passed = 0;
    let before = null;
    const frame = (now) => {
      if (signal.aborted) return done(false);
      // The speed may be changed on the way.
      passed += before === null ? 0 : (now - before) * motion.speed;
      before = now;
      const share = motion.reduced ? 1 : Math.min(1, passed / milliseconds);
      paint(ease(share));
      if (share === 1) done(true);
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

// Resolves to true after a time, or to false if `signal` ends it before.
export function pause(milliseconds, signal) {
  return new Promise((done) => {
    if (signal.aborted) return done(false);
    const timer = setTimeout(() => done(true), milliseconds / motion.speed);
    signal.addEventListener("abort", () => (clearTimeout(timer), done(false)), { once: true });
  });
}

// The shorter way round from one heading to another, in radians, to the right.
export function turnBetween(from, to) {
  return Math.atan2(Math.sin(to - from), Math.cos(to - from));
}
