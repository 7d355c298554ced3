// An equirectangular picture seen from its middle, drawn by one shader, with the attention over the
// 36 views laid on top. Angles are radians: headings clockwise from north, elevations up.

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
uniform vec2 reach;       // tangents of half the field of view
uniform vec2 look;        // heading, elevation
uniform float strengths[36];
const float PI = 3.14159265;
const float CELL = PI / 6.0;

void main() {
  vec3 ray = normalize(vec3(place.x * reach.x, 1.0, place.y * reach.y));
  float c = cos(look.y), s = sin(look.y);
  ray = vec3(ray.x, ray.y * c - ray.z * s, ray.y * s + ray.z * c);
  float heading = look.x + atan(ray.x, ray.y);
  float elevation = asin(clamp(ray.z, -1.0, 1.0));
  // North is in the middle of the picture.
  colour = vec4(texture(picture, vec2(heading / (2.0 * PI) + 0.5, 0.5 - elevation / PI)).rgb, 1);
  vec2 cell = vec2(heading, elevation) / CELL;
  vec2 nearest = floor(cell + 0.5);
  if (abs(nearest.y) < 1.5) {
    float strength = strengths[12 * int(nearest.y + 1.0) + int(mod(nearest.x, 12.0))];
    vec2 edge = abs(cell - nearest);
    float line = strength > 0.02 ? smoothstep(0.482, 0.494, max(edge.x, edge.y)) : 0.0;
    colour.rgb = mix(colour.rgb, vec3(0.95, 0.66, 0.06), max(0.6 * strength, sqrt(strength) * 0.8 * line));
  }
}`;

const HALF = Math.PI / 2;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Panorama {
  look = { heading: 0, elevation: 0, field: 1.25 }; // field of view from top to bottom
  onlook = () => {};
  #canvas;
  #gl;
  #at = {};
  #strengths = new Float32Array(36);
  #waiting = false;

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

  #picture = null;

  show(picture) {
    const gl = this.#gl;
    this.#picture = picture;
    if (!gl) return;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, picture);
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
    const scale = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(this.#canvas.clientWidth * scale);
    const height = Math.round(this.#canvas.clientHeight * scale);
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    gl.viewport(0, 0, width, height);
    gl.uniform2f(this.#at.reach, ...this.#reach);
    gl.uniform2f(this.#at.look, this.look.heading, this.look.elevation);
    gl.uniform1fv(this.#at.strengths, this.#strengths);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
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
    for (const name of ["reach", "look", "strengths"]) {
      this.#at[name] = gl.getUniformLocation(program, name);
    }
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.REPEAT);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }
}
