// Ties the page together: which episode, which agents, which step.

import { Drive } from "viewer/drive.js";
import { latest, notice } from "viewer/latest.js";
import { EpisodeList, SIGNS } from "viewer/list.js";
import { ownInstruction } from "viewer/own.js";
import { Player } from "viewer/player.js";
import { source } from "viewer/source.js";
import { Stage } from "viewer/stage.js";
import { html, metres } from "viewer/svg.js";

const get = (id) => document.getElementById(id);
const [site, episodes] = await Promise.all([source.site(), source.episodes()]).catch((error) => {
  notice(error.message);
  throw error;
});
let rows = episodes;
const scenes = new Map();
const shown = { row: rows[0], traces: [], step: 0, own: false };
const stage = new Stage(site.note);
const player = new Player((step) => jump(step));
const drive = new Drive(() => driven(), () => renew());
const list = new EpisodeList(rows, () => get("agent-a").value, (key) => open(key));

function open(key, agents = chosenAgents(), step = 0) {
  player.pause();
  closeList();
  const row = rowOf(key);
  const names = walkersOf(row, agents);
  if (!names.length) return drive.start({ episode: row.key });
  const walks = () => Promise.all(names.map((name) => source.trace(row.key, name)));
  return present(row, walks, { agents: names, step });
}

// A link may name an episode that is not shown here: that is said, not passed over.
async function openLinked(key, agents, step) {
  if (key === null || rows.some((row) => row.key === key)) {
    return open(key ?? rows[0].key, agents, step);
  }
  await open(rows[0].key, agents);
  const unknown = `There is no episode ${key} here; this is ${rows[0].key}. The list has all episodes.`;
  notice([unknown, site.note].filter(Boolean).join(" "));
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
    notice(site.note);
    offerAgents(row, agents);
    list.current = row.key;
    stage.begin(traces.length, scene);
    headline();
    jump(step);
    if (own) player.play();
  });
}

const rowOf = (key) => rows.find((row) => row.key === key) ?? rows[0];

async function sceneOf(scan) {
  if (!scenes.has(scan)) scenes.set(scan, await source.scene(scan));
  return scenes.get(scan);
}

function jump(step) {
  if (!shown.traces.length) return; // the first ones did not come
  const last = Math.max(...shown.traces.map((trace) => trace.steps.length)) - 1;
  shown.step = Math.min(last, Math.max(0, step));
  player.at(shown.step, last);
  stage.show(shown.traces, shown.step, {
    showWay: drive.active ? drive.showWay : true,
    attention: get("view-attention").checked,
    choose,
    go: goTo,
    jump,
  });
  get("stop").textContent = canAct() || drive.over ? "Stop here" : "Back to where you are";
  const later = shown.step > 0 && !drive.active && !shown.own;
  get("drive").textContent = later ? "Take over here" : "Drive yourself";
  announce();
  remember();
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
  drive.start({ episode: row.key, ...(walked ? { agent: traces[0].agent, steps: step } : {}) });
}

function driven() {
  const { key, trace } = drive;
  return present(rowOf(key), () => [trace], { step: trace.steps.length - 1, driving: true });
}

// A walk was saved, which the list shows, too.
async function renew() {
  list.rows = rows = await source.episodes();
  shown.row = rowOf(shown.row.key);
}

function chosenAgents() {
  return [get("agent-a").value, get("agent-b").value];
}

// Who is to be shown of those who walked an episode.
function walkersOf(row, [first, second]) {
  const names = Object.keys(row.walks);
  const one = names.includes(first) ? first : names[0];
  const two = names.includes(second) && second !== one ? second : "";
  return [one, two].filter(Boolean);
}

// Fills the two lists of agents with those who walked the episode.
function offerAgents(row, agents) {
  const names = Object.keys(row.walks);
  const [one, two = ""] = walkersOf(row, agents);
  const option = (chosen) => (value) =>
    html("option", { value, selected: value === chosen }, value || "nobody");
  get("agent-a").replaceChildren(...names.map(option(one)));
  get("agent-b").replaceChildren(...["", ...names.filter((name) => name !== one)].map(option(two)));
  get("beside").hidden = names.length < 2;
  get("agent-a").parentElement.hidden = !names.length;
}

function headline() {
  const { row, traces } = shown;
  get("title").textContent = shown.own
    ? `Your instruction in ${traces[0].scan}`
    : `Episode ${row.instr_id} in ${row.scan}`;
  document.title = `clipnav: ${get("title").textContent}`;
  document.querySelector(".agents").hidden = drive.active || shown.own;
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

function remember() {
  if (drive.active || shown.own || location.protocol === "file:") return;
  const [a, b] = chosenAgents();
  const place = new URLSearchParams({ episode: shown.row.key, a, b, step: shown.step });
  history.replaceState(null, "", `#${place}`);
}

function openList() {
  get("list").hidden = false;
  get("open-list").setAttribute("aria-expanded", true);
  get("search").focus();
}

function closeList() {
  if (get("list").hidden) return;
  get("list").hidden = true;
  get("open-list").setAttribute("aria-expanded", false);
  get("open-list").focus();
}

function keys(event) {
  if (event.key === "Escape") return closeList();
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input[type=search], textarea, select, dialog")) return;
  if (event.key === "[") player.go(-1);
  else if (event.key === "]") player.go(1);
  else if (event.key === "p") player.toggle();
  else if (event.key === "e" && source.live) openList();
  else if (event.key === "s" && drive.active) stop();
  else if (/^[1-9]$/.test(event.key) && shown.traces.length) {
    const count = stepOf(shown.traces[0]).candidates.length;
    if (Number(event.key) <= count) choose(0, Number(event.key));
  } else return;
  event.preventDefault();
}

function start() {
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
  get("help").addEventListener("click", () => get("help-dialog").showModal());
  get("drive").addEventListener("click", takeOver);
  get("stop").addEventListener("click", stop);
  get("leave").addEventListener("click", () => open(shown.row.key));
  document.addEventListener("keydown", keys);
  get("open-list").hidden = rows.length < 2;
  get("drive").hidden = !source.live;
  get("own").hidden = !source.live || !site.follower;
  const where = () => {
    const step = stepOf(shown.traces[0]);
    return { key: shown.row.key, viewpoint: step.viewpoint, heading: stage.heading };
  };
  ownInstruction(site.follower, where, (trace) => present(shown.row, () => [trace], { own: true }));
  const place = new URLSearchParams(location.hash.slice(1));
  const agents = [place.get("a") ?? site.agents[0], place.get("b") ?? ""];
  return openLinked(place.get("episode"), agents, Number(place.get("step") ?? 0));
}

start();
