// Cache of panoramas, and prefetching of those that are likely to be shown next.

import { source } from "viewer/data_source.js";

const CACHE_SIZE = 300e6; // bytes of decoded pictures
const SHARP = 0.75; // picture columns per screen column below which a picture looks blurred
const cache = new Map(); // least recently used first
let widths = [2048];
let queue = [];
let prefetching = false;

// Sets the available picture widths, in ascending order.
export function setPictureWidths(columns) {
  widths = columns;
}

// Returns the widths to load one after the other for a view that resolves so many columns: first
// the fastest, then finer ones.
export function widthsFor(columns) {
  const enough = widths.findIndex((width) => width >= SHARP * columns);
  return widths.slice(0, enough < 0 ? widths.length : enough + 1);
}

export function picture(scan, viewpoint, width) {
  const key = cacheKey(scan, viewpoint, width);
  const entry = cache.get(key) ?? request(key, scan, viewpoint, width);
  cache.delete(key); // inserted again at the end
  cache.set(key, entry);
  let bytes = [...cache.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  for (const [oldest, entry] of cache) {
    if (bytes <= CACHE_SIZE || oldest === key) break;
    cache.delete(oldest);
    bytes -= entry.bytes;
  }
  return entry.bitmap;
}

function request(key, scan, viewpoint, width, most) {
  const bitmap = source.picture(scan, viewpoint, width, most);
  const entry = { bitmap, bytes: 2 * width * width, loaded: false };
  bitmap.then(
    (loaded) => {
      entry.loaded = true;
      if (!most) return;
      // From now on the picture has the key of its width.
      cache.delete(key);
      entry.bytes = 2 * loaded.width ** 2;
      cache.set(cacheKey(scan, viewpoint, loaded.width), entry);
    },
    () => cache.delete(key), // so that the next request tries again
  );
  return entry;
}

// Returns the finest picture, among the widths in ascending order, that needs no rendering; if all do,
// the coarsest, because finer ones take seconds.
export function firstPicture(scan, viewpoint, options) {
  const loaded = (width) => cache.get(cacheKey(scan, viewpoint, width))?.loaded;
  const width = options.findLast(loaded);
  if (width) return picture(scan, viewpoint, width);
  const key = cacheKey(scan, viewpoint, "first");
  const entry = cache.get(key) ?? request(key, scan, viewpoint, options[0], options.at(-1));
  if (!entry.loaded) cache.set(key, entry);
  return entry.bitmap;
}

// Loads pictures that are likely to be shown next. A later call replaces the queue and
// resolves at once.
export async function prefetch(scan, viewpoints, columns) {
  queue = viewpoints.map((viewpoint) => [scan, viewpoint, widthsFor(columns)]);
  if (prefetching) return;
  prefetching = true;
  while (queue.length) await firstPicture(...queue.shift()).catch(() => {});
  prefetching = false;
}

const cacheKey = (scan, viewpoint, width) => `${scan}/${viewpoint}/${width}`;
