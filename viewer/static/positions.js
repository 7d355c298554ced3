// Names of free positions, which take the place of viewpoints in continuous walks: "@x,y,z" of the
// camera in metres.

export const isFree = (viewpoint) => viewpoint.startsWith("@");

export const positionOf = (viewpoint) => viewpoint.slice(1).split(",").map(Number);

// Returns a place in words, for labels.
export function placeName(viewpoint) {
  if (!isFree(viewpoint)) return `viewpoint ${viewpoint.slice(0, 6)}`;
  const [x, y] = positionOf(viewpoint).map((value) => value.toFixed(1));
  return `position ${x}, ${y}`;
}
