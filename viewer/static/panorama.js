// An equirectangular picture seen from its middle, drawn by one shader, with outlines round the
// views that are attended to. On the way to another viewpoint both pictures are drawn, each as if it
// were painted on a round room with a flat floor in which the eye moves. Angles are radians:
// headings clockwise from north, elevations up.

const VERTEX = `#version 300 es
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
out vec2 place;
void main() {
  place = corners[gl_VertexID];
  gl_Position = vec4(place, 0, 1);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec2 place;
out vec4 colour;
uniform sampler2D picture;
uniform sampler2D next;
uniform float blend;      // 0 shows the picture, 1 the next one
uniform vec3 eye;         // right, ahead and up of the picture's middle; the room has radius 1
uniform vec3 nextEye;     // the same for the next picture
uniform float ground;     // how far the floor lies below the eye
uniform vec2 reach;       // tangents of half the field of view
uniform vec2 look;        // heading, elevation
uniform float pixel;      // of the screen, in pixels of the canvas
uniform float strengths[36];
const float PI = 3.14159265;
const float CELL = PI / 6.0;

vec3 met(vec3 ray, vec3 from) {
  float along = dot(from, ray);
  float far = sqrt(along * along - dot(from, from) + 1.0) - along;
  // Stairs may lead from below the floor of the next picture.
  if (ray.z < -0.001) far = min(far, max(0.05, ground + from.z) / -ray.z);
  return normalize(from + far * ray);
}

// North is in the middle of a picture. The heading is measured from the look, so that it jumps
// behind the eye only, where nothing is drawn.
vec2 angles(vec3 ray) {
  return vec2(look.x + atan(ray.x, ray.y), asin(clamp(ray.z, -1.0, 1.0)));
}

vec3 texel(sampler2D from, vec3 ray) {
  vec2 at = angles(ray);
  return texture(from, vec2(at.x / (2.0 * PI) + 0.5, 0.5 - at.y / PI)).rgb;
}

void main() {
  vec3 ray = normalize(vec3(place.x * reach.x, 1.0, place.y * reach.y));
  float c = cos(look.y), s = sin(look.y);
  ray = vec3(ray.x, ray.y * c - ray.z * s, ray.y * s + ray.z * c);
  colour = vec4(texel(picture, met(ray, eye)), 1);
  if (blend > 0.0) colour.rgb = mix(colour.rgb, texel(next, met(ray, nextEye)), blend);
  vec2 cell = angles(ray) / CELL;
  vec2 nearest = floor(cell + 0.5);
  if (abs(nearest.y) < 1.5) {
    float strength = strengths[12 * int(nearest.y + 1.0) + int(mod(nearest.x, 12.0))];
    vec2 edge = (0.5 - abs(cell - nearest)) / fwidth(cell) / pixel;
    float inside = min(edge.x, edge.y);
    float width = 1.0 + 4.0 * strength;
    float line = strength > 0.02 ? 1.0 - smoothstep(width - 0.5, width + 0.5, inside) : 0.0;
    float shade = strength > 0.02 ? 1.0 - smoothstep(width + 1.0, width + 2.0, inside) : 0.0;
    colour.rgb = mix(colour.rgb, vec3(0.06, 0.08, 0.11), 0.6 * shade);
    colour.rgb = mix(colour.rgb, mix(vec3(1.0, 0.90, 0.62), vec3(1.0, 0.66, 0.05), strength), line);
  }
}`;

const HALF = Math.PI / 2;
const ROOM = 3.6; // metres from the eye to the walls of the room that pictures are painted on
const EYE = 1.5; // metres of the eye above the floor
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Panorama {
  look = { heading: 0, elevation: 0, field: 1.25 }; // field of view from top to bottom
  onlook = () => {};
  #canvas;
  #gl;
  #at = {};
  #strengths = new Float32Array(36);
  #waiting = false;
  #textures = [];
  #picture = null;
  #passage = null; // { picture, vector, room, share }

  constructor(canvas) {
    this.#canvas = canvas;
    // What was drawn is kept, for screenshots and films of the page.
    this.#gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
    if (!this.#gl) return;
    this.#prepare();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#prepare();
      if (this.#picture) this.show(this.#picture);
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  get works() {
    return Boolean(this.#gl);
  }

  // Columns of a picture of which every pixel is seen, as far as the graphics card can hold it.
  get columns() {
    const sharp = (Math.PI * this.#height) / this.#reach[1];
    return Math.min(sharp, this.#gl.getParameter(this.#gl.MAX_TEXTURE_SIZE));
  }

  show(picture) {
    this.#passage = null;
    this.#picture = picture;
    this.#load(0, picture);
    this.draw();
  }

  // Begins to pass to another picture; `way` as of viewer/passage.js, or null to fade over.
  pass(picture, way) {
    this.arrive();
    this.#passage = { picture, share: 0, vector: null, room: ROOM };
    if (way) {
      const sign = way.back ? -1 : 1;
      const level = sign * way.distance * Math.cos(way.elevation);
      this.#passage.vector = [way.heading, level, sign * way.distance * Math.sin(way.elevation)];
      this.#passage.room = Math.max(ROOM, 1.6 * way.distance); // the eye stays in it
    }
    this.#load(1, picture);
  }

  // Goes on to a share of the passage.
  along(share) {
    if (this.#passage) this.#passage.share = share;
    this.draw();
  }

  // Ends the passage, wherever it is.
  arrive() {
    if (!this.#passage) return;
    this.#picture = this.#passage.picture;
    this.#passage = null;
    this.#textures.reverse();
    this.#bind();
    this.draw();
  }

  // Strength 0 to 1 of each of the 36 views; null for none.
  attend(strengths) {
    this.#strengths = Float32Array.from(strengths ?? new Array(36).fill(0));
    this.draw();
  }

  turn(heading, elevation) {
    const turn = 2 * Math.PI;
    this.look.heading = ((heading % turn) + turn) % turn;
    this.look.elevation = clamp(elevation, -HALF, HALF);
    this.draw();
  }

  zoom(factor) {
    this.look.field = clamp(this.look.field * factor, 0.5, 1.9);
    this.draw();
  }

  // Width and height of the picture plane at distance 1, halved.
  get #reach() {
    const up = Math.tan(this.look.field / 2);
    return [up * (this.#canvas.clientWidth / Math.max(1, this.#canvas.clientHeight)), up];
  }

  get #scale() {
    return Math.min(devicePixelRatio || 1, 2);
  }

  get #height() {
    return Math.round(this.#canvas.clientHeight * this.#scale);
  }

  get fieldAcross() {
    return 2 * Math.atan(this.#reach[0]);
  }

  // Pixel of a direction; `ahead` tells whether it is before the eye at all.
  project(heading, elevation) {
    const turn = heading - this.look.heading;
    const level = Math.cos(elevation);
    const [x, y, z] = [level * Math.sin(turn), level * Math.cos(turn), Math.sin(elevation)];
    const [c, s] = [Math.cos(this.look.elevation), Math.sin(this.look.elevation)];
    const [ahead, up] = [y * c + z * s, z * c - y * s];
    const [right, top] = this.#reach;
    return {
      x: (this.#canvas.clientWidth / 2) * (1 + x / ahead / right),
      y: (this.#canvas.clientHeight / 2) * (1 - up / ahead / top),
      ahead: ahead > 0.05,
      turn: Math.atan2(Math.sin(turn), Math.cos(turn)),
    };
  }

  draw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#paint();
      this.onlook();
    });
  }

  #paint() {
    const gl = this.#gl;
    if (!gl || !this.#picture) return;
    const width = Math.round(this.#canvas.clientWidth * this.#scale);
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== this.#height) this.#canvas.height = this.#height;
    gl.viewport(0, 0, width, this.#height);
    gl.uniform2f(this.#at.reach, ...this.#reach);
    gl.uniform2f(this.#at.look, this.look.heading, this.look.elevation);
    gl.uniform1f(this.#at.pixel, this.#scale);
    gl.uniform1fv(this.#at.strengths, this.#strengths);
    const { share, vector, room } = this.#passage ?? { share: 0, vector: null, room: ROOM };
    gl.uniform1f(this.#at.blend, clamp(2 * share - 0.5, 0, 1));
    gl.uniform1f(this.#at.ground, EYE / room);
    gl.uniform3f(this.#at.eye, ...this.#offset(vector, share / room));
    gl.uniform3f(this.#at.nextEye, ...this.#offset(vector, (share - 1) / room));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  // A part of the way as right, ahead and up.
  #offset(vector, part) {
    if (!vector) return [0, 0, 0];
    const [heading, level, up] = vector;
    const turn = heading - this.look.heading;
    return [level * part * Math.sin(turn), level * part * Math.cos(turn), up * part];
  }

  #load(unit, picture) {
    const gl = this.#gl;
    if (!gl) return;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, picture);
  }

  #bind() {
    const gl = this.#gl;
    this.#textures.forEach((texture, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
    });
  }

  #prepare() {
    const gl = this.#gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
      throw new Error(`panorama shader: ${gl.getProgramInfoLog(program)}`);
    }
    gl.useProgram(program);
    const names = "picture next blend eye nextEye ground reach look pixel strengths";
    for (const name of names.split(" ")) this.#at[name] = gl.getUniformLocation(program, name);
    this.#textures = [gl.createTexture(), gl.createTexture()];
    this.#bind();
    for (const unit of [0, 1]) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      // One black pixel, until there is a picture.
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 1, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, new Uint8Array(3));
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.REPEAT);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    }
    gl.uniform1i(this.#at.picture, 0);
    gl.uniform1i(this.#at.next, 1);
  }
}
