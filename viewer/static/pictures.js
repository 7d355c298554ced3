// Panoramas near at hand: each is fetched once, some are kept, and likely next ones are fetched
// while nothing else is waited for.

import { source } from "viewer/source.js";

const KEPT = 300e6; // bytes of decoded pictures
const FINE = 0.75; // columns of a picture by those of the screen; fewer look blurred
const cache = new Map(); // oldest first
let widths = [2048];
let likely = [];
let fetching = false;

// Columns of the pictures that there are, the fewest first.
export function offer(columns) {
  widths = columns;
}

// The pictures to show one after the other where so many columns can be seen: one that comes fast,
// then finer ones.
export function sizes(columns) {
  const enough = widths.findIndex((width) => width >= FINE * columns);
  return widths.slice(0, enough < 0 ? widths.length : enough + 1);
}

export function picture(scan, viewpoint, width) {
  const key = name(scan, viewpoint, width);
  let found = cache.get(key)?.found;
  if (found) cache.delete(key); // the newest stand last
  found ??= source.picture(scan, viewpoint, width);
  cache.set(key, { found, bytes: 2 * width * width });
  found.catch(() => cache.delete(key)); // to be tried again
  let bytes = [...cache.values()].reduce((sum, one) => sum + one.bytes, 0);
  for (const [oldest, one] of cache) {
    if (bytes <= KEPT || oldest === key) break;
    cache.delete(oldest);
    bytes -= one.bytes;
  }
  return found;
}

// The finest of the pictures of these sizes that was asked for already, else the first.
export function nearest(scan, viewpoint, columns) {
  return columns.findLast((width) => cache.has(name(scan, viewpoint, width))) ?? columns[0];
}

// Fetches pictures that will be wanted next; resolves when they are here or others are expected.
export async function expect(scan, viewpoints) {
  likely = viewpoints.map((viewpoint) => [scan, viewpoint, widths[0]]);
  if (fetching) return;
  fetching = true;
  while (likely.length) await picture(...likely.shift()).catch(() => {});
  fetching = false;
}

const name = (scan, viewpoint, width) => `${scan}/${viewpoint}/${width}`;
