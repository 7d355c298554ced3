// Source of episodes, traces, floor plans and pictures: the server, or the page itself if it is an
// exported file.

async function request(url, options) {
  const answer = await fetch(url, options).catch(() => {
    throw new Error("The server does not answer; start clipnav visualise again.");
  });
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
  throw new Error(error);
}

async function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await request(url, { method: "POST", headers, body: JSON.stringify(body) });
  return answer.json();
}

class ServerSource {
  live = true;
  #get = (path, query) => request(`${path}?${new URLSearchParams(query)}`);
  #json = async (path, query) => (await this.#get(path, query)).json();

  site = () => this.#json("/api/site");
  episodes = () => this.#json("/api/episodes");
  trace = (episode, agent) => this.#json("/api/trace", { episode, agent });
  scene = (scan) => this.#json("/api/scene", { scan });
  walk = (body) => post("/api/walk", body);
  act = (body) => post("/api/act", body);
  follow = (body) => post("/api/follow", body);

  // Returns a picture of `width` columns, or the finest one up to `most` that needs no rendering.
  async picture(scan, viewpoint, width, most) {
    const finest = most > width ? { most } : {};
    const answer = await this.#get("/api/picture", { scan, viewpoint, ...finest, width });
    return createImageBitmap(await answer.blob());
  }
}

class PageSource {
  live = false;
  #bundle;

  constructor(text) {
    this.#bundle = JSON.parse(text);
  }

  site = async () => this.#bundle.site;
  episodes = async () => this.#bundle.episodes;
  trace = async (episode, agent) => {
    const trace = this.#bundle.traces[episode]?.[agent];
    if (!trace) throw new Error(`This page does not contain episode ${episode}.`);
    return trace;
  };
  scene = async (scan) => this.#bundle.scenes[scan];

  async picture(scan, viewpoint) {
    const data = this.#bundle.pictures[`${scan}/${viewpoint}`];
    if (!data) throw new Error("this page contains no picture of that viewpoint");
    const image = new Image();
    image.src = data;
    await image.decode();
    return image;
  }
}

const bundle = document.getElementById("bundle");
export const source = bundle ? new PageSource(bundle.textContent) : new ServerSource();
