// How strongly a weight of attention is coloured: not at all up to an even share, fully at the
// largest weight, or at two and a half even shares if none is as large. Even attention so stays pale.

const FULL = 2.5;

export function strengths(weights, count = weights.length) {
  const even = 1 / count;
  const most = Math.max(FULL * even, ...weights);
  return weights.map((weight) => Math.max(0, weight - even) / (most - even));
}
