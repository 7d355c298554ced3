// Draws an equirectangular picture in perspective with one shader, with outlines around the views
// that have attention. During a move to another viewpoint both pictures are drawn, each projected
// onto a round room with a flat floor, inside which the camera moves. Angles are radians: headings
// clockwise from north, elevations upwards.

const VERTEX = `#version 300 es
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
out vec2 position;
void main() {
  position = corners[gl_VertexID];
  gl_Position = vec4(position, 0, 1);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec2 position;
out vec4 colour;
uniform sampler2D picture;
uniform sampler2D next;
uniform float blend;      // 0 shows the picture, 1 the next one
// Camera relative to the picture's centre: right, ahead, up. The room has radius 1.
uniform vec3 offset;
uniform vec3 nextOffset;  // the same for the next picture
uniform float floorDepth; // distance from the camera down to the floor
// Tangents of half the field of view, horizontal and vertical.
uniform vec2 halfTangents;
uniform vec2 look;        // heading, elevation
uniform float pixel;      // size of a screen pixel in canvas pixels
uniform float strengths[36];
const float PI = 3.14159265;
const float CELL = PI / 6.0;

// Direction from the room's centre to the point where a ray meets the room.
vec3 hit(vec3 ray, vec3 from) {
  float along = dot(from, ray);
  float far = sqrt(along * along - dot(from, from) + 1.0) - along;
  // On stairs the camera may start below the floor of the next picture.
  if (ray.z < -0.001) far = min(far, max(0.05, floorDepth + from.z) / -ray.z);
  return normalize(from + far * ray);
}

// North is in the middle column of a picture. Headings are computed relative to the camera, so the
// discontinuity lies behind it, where nothing is drawn.
vec2 angles(vec3 ray) {
  return vec2(look.x + atan(ray.x, ray.y), asin(clamp(ray.z, -1.0, 1.0)));
}

vec3 texel(sampler2D from, vec3 ray) {
  vec2 at = angles(ray);
  return texture(from, vec2(at.x / (2.0 * PI) + 0.5, 0.5 - at.y / PI)).rgb;
}

void main() {
  vec3 ray = normalize(vec3(position.x * halfTangents.x, 1.0, position.y * halfTangents.y));
  float c = cos(look.y), s = sin(look.y);
  ray = vec3(ray.x, ray.y * c - ray.z * s, ray.y * s + ray.z * c);
  colour = vec4(texel(picture, hit(ray, offset)), 1);
  if (blend > 0.0) colour.rgb = mix(colour.rgb, texel(next, hit(ray, nextOffset)), blend);
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
const ROOM_RADIUS = 3.6; // metres; of the room that pictures are projected onto
const CAMERA_HEIGHT = 1.5; // metres above the floor
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Panorama {
  camera = { heading: 0, elevation: 0, field: 1.25 }; // `field` is the vertical field of view
  onLook = () => {};
  #canvas;
  #gl;
  #uniforms = {}; // locations by name
  #strengths = new Float32Array(36);
  #scheduled = false;
  #textures = [];
  #picture = null;
  #move = null; // { picture, vector, radius, progress }

  constructor(canvas) {
    this.#canvas = canvas;
    // The drawing buffer is preserved for screenshots of the page.
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

  // Picture width at which one picture pixel covers one screen pixel, within the limit of the GPU.
  get columns() {
    const columns = (Math.PI * this.#height) / this.#halfTangents[1];
    return Math.min(columns, this.#gl.getParameter(this.#gl.MAX_TEXTURE_SIZE));
  }

  show(picture) {
    this.#move = null;
    this.#picture = picture;
    this.#load(0, picture);
    this.draw();
  }

  // Starts the transition to another picture: along `move` (see viewer/moves.js), or a cross-fade if
  // it is null.
  startMove(picture, move) {
    this.finishMove();
    this.#move = { picture, progress: 0, vector: null, radius: ROOM_RADIUS };
    if (move) {
      const sign = move.back ? -1 : 1;
      const level = sign * move.distance * Math.cos(move.elevation);
      this.#move.vector = [move.heading, level, sign * move.distance * Math.sin(move.elevation)];
      this.#move.radius = Math.max(ROOM_RADIUS, 1.6 * move.distance); // contains the camera
    }
    this.#load(1, picture);
  }

  // Sets the progress of the transition, 0 to 1.
  continueMove(progress) {
    if (this.#move) this.#move.progress = progress;
    this.draw();
  }

  // Completes the transition at once.
  finishMove() {
    if (!this.#move) return;
    this.#picture = this.#move.picture;
    this.#move = null;
    this.#textures.reverse();
    this.#bind();
    this.draw();
  }

  // Outlines the 36 views by attention strength, 0 to 1; null removes the outlines.
  showAttention(strengths) {
    this.#strengths = Float32Array.from(strengths ?? new Array(36).fill(0));
    this.draw();
  }

  turn(heading, elevation) {
    const turn = 2 * Math.PI;
    this.camera.heading = ((heading % turn) + turn) % turn;
    this.camera.elevation = clamp(elevation, -HALF, HALF);
    this.draw();
  }

  zoom(factor) {
    this.camera.field = clamp(this.camera.field * factor, 0.5, 1.9);
    this.draw();
  }

  // Half the width and height of the image plane at distance 1.
  get #halfTangents() {
    const vertical = Math.tan(this.camera.field / 2);
    const aspect = this.#canvas.clientWidth / Math.max(1, this.#canvas.clientHeight);
    return [vertical * aspect, vertical];
  }

  get #scale() {
    return Math.min(devicePixelRatio || 1, 2);
  }

  get #height() {
    return Math.round(this.#canvas.clientHeight * this.#scale);
  }

  get horizontalField() {
    return 2 * Math.atan(this.#halfTangents[0]);
  }

  // Returns the pixel of a direction; `ahead` is false if it is not in front of the camera.
  project(heading, elevation) {
    const turn = heading - this.camera.heading;
    const level = Math.cos(elevation);
    const [x, y, z] = [level * Math.sin(turn), level * Math.cos(turn), Math.sin(elevation)];
    const [c, s] = [Math.cos(this.camera.elevation), Math.sin(this.camera.elevation)];
    const [ahead, up] = [y * c + z * s, z * c - y * s];
    const [right, top] = this.#halfTangents;
    return {
      x: (this.#canvas.clientWidth / 2) * (1 + x / ahead / right),
      y: (this.#canvas.clientHeight / 2) * (1 - up / ahead / top),
      ahead: ahead > 0.05,
      turn: Math.atan2(Math.sin(turn), Math.cos(turn)),
    };
  }

  draw() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#paint();
      this.onLook();
    });
  }

  #paint() {
    const gl = this.#gl;
    if (!gl || !this.#picture) return;
    const width = Math.round(this.#canvas.clientWidth * this.#scale);
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== this.#height) this.#canvas.height = this.#height;
    gl.viewport(0, 0, width, this.#height);
    const at = this.#uniforms;
    gl.uniform2f(at.halfTangents, ...this.#halfTangents);
    gl.uniform2f(at.look, this.camera.heading, this.camera.elevation);
    gl.uniform1f(at.pixel, this.#scale);
    gl.uniform1fv(at.strengths, this.#strengths);
    const still = { progress: 0, vector: null, radius: ROOM_RADIUS };
    const { progress, vector, radius } = this.#move ?? still;
    gl.uniform1f(at.blend, clamp(2 * progress - 0.5, 0, 1));
    gl.uniform1f(at.floorDepth, CAMERA_HEIGHT / radius);
    gl.uniform3f(at.offset, ...this.#offset(vector, progress / radius));
    gl.uniform3f(at.nextOffset, ...this.#offset(vector, (progress - 1) / radius));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  // A vector times a factor, as right, ahead and up of the camera.
  #offset(vector, factor) {
    if (!vector) return [0, 0, 0];
    const [heading, level, up] = vector;
    const turn = heading - this.camera.heading;
    return [level * factor * Math.sin(turn), level * factor * Math.cos(turn), up * factor];
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
    const names =
      "picture next blend offset nextOffset floorDepth halfTangents look pixel strengths";
    for (const name of names.split(" ")) {
      this.#uniforms[name] = gl.getUniformLocation(program, name);
    }
    this.#textures = [gl.createTexture(), gl.createTexture()];
    this.#bind();
    for (const unit of [0, 1]) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      // One black pixel until a picture is loaded.
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 1, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, new Uint8Array(3));
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.REPEAT);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    }
    gl.uniform1i(this.#uniforms.picture, 0);
    gl.uniform1i(this.#uniforms.next, 1);
  }
}
