// Writes recast_golden.json: the navigation mesh of a made-up room, and random steps on it, by Recast
// and Detour themselves. Run in an empty folder:
//   npm install @recast-navigation/core@0.43.1 @recast-navigation/generators@0.43.1
//   node recast_golden.mjs > recast_golden.json
// The settings and the sliding step are those of habitat-sim 0.3.4 (PathFinder.cpp: build, tryStep).
// Detour has no step without sliding: these steps end where its raycast meets the first wall, as those
// of habitat-sim to 0.3.3, whose own Detour had one, but not as those of 0.3.4.
import { init, NavMeshQuery } from '@recast-navigation/core';
import { generateSoloNavMesh } from '@recast-navigation/generators';

await init();
let seed = 12;
const random = () => (seed = (seed * 1664525 + 1013904223) % 4294967296) / 4294967296;
const round = (value, digits) => Number(value.toFixed(digits));

// A scene of boxes: centre x and z, half sizes, bottom, top, turn in degrees.
const vertices = [], triangles = [];
function box(x, z, a, b, low, high, degrees = 0) {
  const first = vertices.length / 3, c = Math.cos(degrees * Math.PI / 180), s = Math.sin(degrees * Math.PI / 180);
  for (const y of [low, high]) for (const [u, v] of [[-a, -b], [a, -b], [a, b], [-a, b]])
    vertices.push(round(x + c * u + s * v, 3), y, round(z - s * u + c * v, 3));
  for (const [i, j, k, m] of [[3, 2, 1, 0], [4, 7, 6, 5].reverse(), [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])
    for (const t of [[i, j, k], [i, k, m]]) triangles.push(...t.reverse().map(n => first + n));
}
box(5, 4, 5.5, 4.5, -0.1, 0);  // floor
for (const [x, z, a, b] of [[5, 0, 5.1, 0.1], [5, 8, 5.1, 0.1], [0, 4, 0.1, 4.1], [10, 4, 0.1, 4.1],
  [4, 1.6, 0.06, 1.5], [4, 6.4, 0.06, 1.5], [7.5, 5, 2.5, 0.06], [7.05, 6.5, 0.06, 1.4]]) box(x, z, a, b, 0, 2.5);
box(6.5, 2, 0.9, 0.7, 0, 0.15); box(8.9, 1.2, 0.5, 0.4, 0, 0.18); // platforms that can be stepped on
for (let k = 0; k < 22; k++) {
  const [x, z] = [0.6 + 8.8 * random(), 0.6 + 6.8 * random()];
  box(round(x, 2), round(z, 2), round(0.08 + 0.35 * random(), 2), round(0.08 + 0.3 * random(), 2), 0,
    round(0.3 + 1.2 * random(), 2), Math.floor(4 * random()) * 22.5);
}

const [cs, ch, radius, height, climb] = [0.05, 0.05, 0.1, 1.5, 0.2];
const built = generateSoloNavMesh(new Float32Array(vertices), new Uint32Array(triangles), {
  cs, ch, walkableSlopeAngle: 45, walkableHeight: Math.round(height / ch), walkableClimb: Math.round(climb / ch),
  walkableRadius: Math.round(radius / cs), maxEdgeLen: Math.round(12 / cs), maxSimplificationError: 1.3,
  minRegionArea: 20, mergeRegionArea: 20, maxVertsPerPoly: 6, detailSampleDist: 6, detailSampleMaxError: 1,
}, true);
const mesh = built.intermediates.polyMesh, count = mesh.npolys(), most = mesh.nvp();
const corner = k => [0, 1, 2].map(axis => mesh.verts(3 * k + axis));
const polygons = [], island = [...Array(count).keys()];
const root = k => island[k] === k ? k : (island[k] = root(island[k]));
for (let p = 0; p < count; p++) {
  polygons.push([]);
  for (let j = 0; j < most; j++) {
    const k = mesh.polys(2 * p * most + j), behind = mesh.polys((2 * p + 1) * most + j);
    if (k !== 0xffff) polygons[p].push(corner(k));
    if (behind < count) island[root(p)] = root(behind);
  }
}

const query = new NavMeshQuery(built.navMesh), halfExtents = { x: 2, y: 4, z: 2 };
const project = point => query.findNearestPoly(point, { halfExtents });
const piece = ref => root(built.navMesh.decodePolyId(ref).tilePolygonIndex);
function tryStep(start, end, sliding) {
  const from = project(start), to = project(end), p = from.nearestPoint;
  if (piece(from.nearestRef) !== piece(to.nearestRef)) return start;
  if (!sliding) {
    const share = Math.min(query.raycast(from.nearestRef, p, end).t, 1);
    return { x: p.x + share * (end.x - p.x), y: p.y, z: p.z + share * (end.z - p.z) };
  }
  const moved = query.moveAlongSurface(from.nearestRef, p, end);
  const at = moved.resultPosition;
  const floor = query.getPolyHeight(moved.visited[moved.visited.length - 1], at);
  return { x: at.x, y: floor.success ? floor.height : at.y, z: at.z };
}

const main = piece(project({ x: 1, y: 0, z: 1 }).nearestRef), walks = [];
while (walks.length < 60) {
  let at = project({ x: 10 * random(), y: 0, z: 8 * random() }).nearestPoint;
  if (piece(project(at).nearestRef) !== main || at.y > 0.3) continue;
  const sliding = walks.length % 2 === 0, steps = [];
  let turns = Math.floor(24 * random());
  for (let k = 0; k < 60; k++) {
    const choice = random();
    if (choice < 0.37) { turns += choice < 0.18 ? 1 : -1; continue; }
    const yaw = turns * Math.PI / 12;
    const end = tryStep(at, { x: at.x - 0.25 * Math.sin(yaw), y: at.y, z: at.z - 0.25 * Math.cos(yaw) }, sliding);
    steps.push([turns, at.x, at.y, at.z, end.x, end.y, end.z].map(value => round(value, 6)));
    at = end;
  }
  walks.push({ sliding, steps });
}
console.log(JSON.stringify({ engine: '@recast-navigation 0.43.1', vertices, triangles, polygons, walks }));
