// Ties the page together: which episode, which agents, which step.

import { ManualWalk } from "viewer/drive.js";
import { keys } from "viewer/keys.js";
import { latest, notice } from "viewer/latest.js";
import { EpisodeList, SIGNS } from "viewer/list.js";
import { ownInstruction } from "viewer/own.js";
import { offer } from "viewer/pictures.js";
import { Player } from "viewer/player.js";
import { source } from "viewer/source.js";
import { Stage } from "viewer/stage.js";
import { html, metres, once } from "viewer/svg.js";
import { themeButton } from "viewer/theme.js";
import { chosenAgents, offerAgents, rival, walkersOf } from "viewer/walkers.js";

const get = (id) => document.getElementById(id);
const ME = "you"; // name of a person's walks
themeButton(get("theme"));
const [site, episodes] = await Promise.all([source.site(), source.episodes()]).catch((error) => {
  notice(error.message);
  throw error;
});
let rows = episodes;
const scenes = new Map();
const shown = { row: null, traces: [], step: 0, own: false };
const drawable = Boolean(new OffscreenCanvas(1, 1).getContext("webgl2"));
const note = site.note || (drawable ? "" : "This browser has no WebGL2: the map is shown alone.");
const stage = new Stage(!note);
const player = new Player((step) => jump(step));
const drive = new ManualWalk(() => driven(), { stop, next: driveNext, leave });
const list = new EpisodeList(rows, () => get("agent-a").value, (key) => open(key));
offer(site.widths);

function open(key, agents = chosenAgents(), step = 0) {
  player.pause();
  closeList();
  const row = rowOf(key);
  // Whoever asks for what is not here is told so.
  if (!row) return latest(() => source.trace(key, agents[0] ?? ""), () => {});
  const names = walkersOf(row, agents);
  if (!names.length) return drive.start({ episode: row.key });
  const walks = () => Promise.all(names.map((name) => source.trace(row.key, name)));
  return present(row, walks, { agents: names, step });
}

// Shows walks of an episode once they and their building have come; until then all stays as it is.
function present(row, walks, { agents = chosenAgents(), step = 0, own = false, driving = false }) {
  const request = async () => {
    const traces = await walks();
    return { traces, scene: await sceneOf(traces[0].scan) };
  };
  return latest(request, ({ traces, scene }) => {
    if (!driving) drive.leave();
    Object.assign(shown, { row, traces, own });
    document.body.classList.remove("empty");
    notice(note);
    offerAgents(row, agents);
    list.current = row.key;
    stage.begin(traces.length, scene);
    headline();
    const arrival = jump(step);
    if (own) arrival.then(() => player.play());
  });
}

const rowOf = (key) => rows.find((row) => row.key === key);

async function sceneOf(scan) {
  if (!scenes.has(scan)) scenes.set(scan, await source.scene(scan));
  return scenes.get(scan);
}

// Resolves once the step is reached.
function jump(step) {
  if (!shown.traces.length) return Promise.resolve(); // the first ones did not come
  const last = Math.max(...shown.traces.map((trace) => trace.steps.length)) - 1;
  shown.step = Math.min(last, Math.max(0, step));
  player.at(shown.step, last);
  const arrival = stage.show(shown.traces, shown.step, {
    showWay: drive.active ? drive.showWay : true,
    attention: get("view-attention").checked,
    choose,
    go: goTo,
    jump,
  });
  get("stop").textContent = canAct() || drive.over ? "Stop here" : "Back to where you are";
  const later = shown.step > 0 && !drive.active && !shown.own;
  const label = shown.row.under_way ? "Continue your walk" : "Walk yourself";
  get("drive").textContent = later ? "Take over here" : label;
  announce();
  remember();
  return arrival;
}

function stepOf(trace) {
  return trace.steps[Math.min(shown.step, trace.steps.length - 1)];
}

// The server acts at the end of a person's walk, so its earlier steps can be looked at only.
function canAct() {
  const { active, over, trace } = drive;
  return active && !over && shown.traces[0] === trace && shown.step === trace.steps.length - 1;
}

// A mark was clicked: the way that was taken goes on, others are looked at.
function choose(place, number) {
  const step = stepOf(shown.traces[place]);
  if (canAct()) drive.act(number);
  else if (step.action === number) player.go(1);
  else stage.face(place, step.candidates[number - 1].heading);
}

function stop() {
  if (canAct()) drive.act(0);
  else driven();
}

// A viewpoint of the map was clicked.
function goTo(viewpoint) {
  const { steps } = shown.traces[0];
  if (canAct()) {
    const places = steps[shown.step].candidates;
    const number = 1 + places.findIndex((candidate) => candidate.viewpoint === viewpoint);
    if (number) drive.act(number);
    return;
  }
  const step = steps.findIndex((one) => one.viewpoint === viewpoint);
  if (step >= 0) jump(step);
}

// At the start a person walks alone; later they go on from where the agent stands.
function takeOver() {
  const { row, traces, step } = shown;
  const walked = step > 0 && !drive.active && !shown.own;
  return drive.start({ episode: row.key, ...(walked ? { agent: traces[0].agent, steps: step } : {}) });
}

// A person's walk has gone on. At its end the chosen agent's walk is shown beside it.
async function driven() {
  const { key, trace, over } = drive;
  player.pause();
  if (over) await renew();
  const row = rowOf(key);
  row.under_way = !over && trace.steps.length > 1;
  const other = over ? rival(row, ME) : "";
  const walks = async () => (other ? [trace, await source.trace(key, other)] : [trace]);
  const agents = over ? [ME, other] : chosenAgents();
  // At the end both walks are shown at their ends.
  const step = over ? Infinity : trace.steps.length - 1;
  await present(row, walks, { agents, step, driving: true });
  if (over) drive.conclude(row.walks[ME], row.walks[other], other);
}

// A walk was saved, which the list shows, too.
async function renew() {
  list.rows = rows = await source.episodes();
}

function driveNext() {
  return drive.start({ episode: list.after(drive.key) });
}

function leave() {
  return open(drive.key);
}

function headline() {
  const { row, traces } = shown;
  get("title").textContent = shown.own
    ? `Your instruction in ${traces[0].scan}`
    : `Episode ${row.instr_id} in ${row.scan}`;
  document.title = `clipnav: ${get("title").textContent}`;
  get("agents").hidden = drive.active || shown.own || !Object.keys(row.walks).length;
  const walk = drive.active || shown.own ? null : row.walks[traces[0].agent];
  const badge = get("outcome");
  badge.hidden = !walk;
  if (walk) {
    badge.className = `badge ${walk.outcome.replace(" ", "-")}`;
    badge.textContent = walk.outcome;
    badge.dataset.sign = SIGNS[walk.outcome];
  }
}

function announce() {
  const step = stepOf(shown.traces[0]);
  const far = step.distance_to_goal;
  const goal = far == null || (drive.active && !drive.showWay) ? "" : `, ${metres(far)} from the goal`;
  get("live").textContent = `Step ${shown.step}, ${step.candidates.length} ways to go${goal}.`;
}

// A reload leads to the same picture, and into a walk that is under way.
function remember() {
  if (shown.own || location.protocol === "file:") return;
  const [a, b] = drive.active ? shown.traces.map((trace) => trace.agent) : chosenAgents();
  const walking = drive.active && !drive.over;
  const place = walking ? { walk: ME } : { a, b: b ?? "", step: shown.step };
  history.replaceState(null, "", `#${new URLSearchParams({ episode: shown.row.key, ...place })}`);
}

function openList() {
  get("list").hidden = false;
  get("open-list").setAttribute("aria-expanded", true);
  get("search").focus();
}

function closeList() {
  if (get("list").hidden) return false;
  get("list").hidden = true;
  get("open-list").setAttribute("aria-expanded", false);
  get("open-list").focus();
}

function chooseNumber(number) {
  if (!shown.traces.length || number > stepOf(shown.traces[0]).candidates.length) return false;
  choose(0, number);
}

const act = {
  Escape: closeList,
  "[": () => player.go(-1),
  "]": () => player.go(1),
  p: () => player.toggle(),
  "<": () => player.change(-1),
  ">": () => player.change(1),
  l: () => player.loop(),
  e: () => (get("open-list").hidden ? false : openList()),
  a: () => get("overlay").hidden || get("view-attention").click(),
  d: () => get("theme").click(),
  n: () => (drive.active && drive.over ? driveNext() : false),
  s: () => (drive.active && !drive.over ? stop() : false),
  "?": () => get("help-dialog").showModal(),
  number: chooseNumber,
};

function begin() {
  get("open-list").addEventListener("click", () => (get("list").hidden ? openList() : closeList()));
  get("close-list").addEventListener("click", closeList);
  for (const id of ["agent-a", "agent-b"]) {
    get(id).addEventListener("change", async () => {
      await open(shown.row.key, chosenAgents(), shown.step);
      // If the walk of the chosen one did not come, another one's is still shown.
      offerAgents(shown.row, shown.traces.map((trace) => trace.agent));
      list.draw();
    });
  }
  get("view-attention").addEventListener("change", () => jump(shown.step));
  get("help").addEventListener("click", act["?"]);
  get("drive").addEventListener("click", once(takeOver));
  get("browse").addEventListener("click", openList);
  keys(act);
  get("open-list").hidden = rows.length < 2;
  get("drive").hidden = !source.live;
  get("own").hidden = !source.live || !site.follower;
  const where = () => {
    const step = stepOf(shown.traces[0]);
    return { key: shown.row.key, viewpoint: step.viewpoint, heading: stage.heading };
  };
  ownInstruction(site.follower, where, (trace) => present(shown.row, () => [trace], { own: true }));
  const place = new URLSearchParams(location.hash.slice(1));
  const key = place.get("episode") ?? rows[0].key;
  if (place.get("walk") === ME && rowOf(key)?.under_way) return drive.start({ episode: key });
  const agents = [place.get("a") ?? site.agents[0], place.get("b") ?? ""];
  return open(key, agents, Number(place.get("step") ?? 0));
}

begin();
