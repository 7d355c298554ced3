// Panoramas near at hand: each is fetched once, a few are kept, and likely next ones are fetched
// while nothing else is waited for.

import { source } from "viewer/source.js";

const KEPT = 24;
export const SMALL = 1024, LARGE = 2048;
const cache = new Map();
let likely = [];
let fetching = false;

export function picture(scan, viewpoint, width) {
  const key = `${scan}/${viewpoint}/${source.live ? width : ""}`;
  let found = cache.get(key);
  if (found) cache.delete(key); // the newest stand last
  found ??= source.picture(scan, viewpoint, width);
  cache.set(key, found);
  found.catch(() => cache.delete(key)); // to be tried again
  if (cache.size > KEPT) cache.delete(cache.keys().next().value);
  return found;
}

// Bare ground under a bare sky, for worlds without pictures.
export function bare() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 4, height: 256 });
  const brush = canvas.getContext("2d");
  for (const [colour, from, to] of [["#cdd8e3", 0, 128], ["#b3ada4", 128, 256]]) {
    brush.fillStyle = colour;
    brush.fillRect(0, from, 4, to - from);
  }
  return canvas;
}

export function expect(scan, viewpoints) {
  likely = viewpoints.map((viewpoint) => [scan, viewpoint, SMALL]);
  if (!fetching) fetchLikely();
}

async function fetchLikely() {
  fetching = true;
  while (likely.length) await picture(...likely.shift()).catch(() => {});
  fetching = false;
}
