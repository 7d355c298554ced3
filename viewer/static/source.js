// Where episodes, traces, buildings and pictures come from: the server, or the page itself if it
// was exported.

async function asked(url, options) {
  const answer = await fetch(url, options).catch(() => {
    throw new Error("The server does not answer: start clipnav visualise again.");
  });
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
  throw new Error(error);
}

function told(url, body) {
  const headers = { "Content-Type": "application/json" };
  return asked(url, { method: "POST", headers, body: JSON.stringify(body) }).then((a) => a.json());
}

class ServerSource {
  live = true;
  #get = (path, query) => asked(`${path}?${new URLSearchParams(query)}`);

  site = () => this.#get("/api/site").then((answer) => answer.json());
  episodes = () => this.#get("/api/episodes").then((answer) => answer.json());
  trace = (episode, agent) => this.#get("/api/trace", { episode, agent }).then((a) => a.json());
  scene = (scan) => this.#get("/api/scene", { scan }).then((answer) => answer.json());
  drive = (body) => told("/api/drive", body);
  act = (body) => told("/api/act", body);
  follow = (body) => told("/api/follow", body);

  async picture(scan, viewpoint, width) {
    const answer = await this.#get("/api/picture", { scan, viewpoint, width });
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
    const found = this.#bundle.traces[episode]?.[agent];
    if (!found) throw new Error(`This page does not hold the episode ${episode}.`);
    return found;
  };
  scene = async (scan) => this.#bundle.scenes[scan];

  async picture(scan, viewpoint) {
    const data = this.#bundle.pictures[`${scan}/${viewpoint}`];
    if (!data) throw new Error("this page holds no picture of that viewpoint");
    const image = new Image();
    image.src = data;
    await image.decode();
    return image;
  }
}

const bundle = document.getElementById("bundle");
export const source = bundle ? new PageSource(bundle.textContent) : new ServerSource();
