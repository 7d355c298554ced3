// Entry point: connects the controls of the page with the episode, agents and step shown.

import { agentsOf, chosenAgents, comparisonAgent, fillAgentLists } from "viewer/agents.js";
import { customInstruction } from "viewer/custom_instruction.js";
import { source } from "viewer/data_source.js";
import { counted, firstClick, metres } from "viewer/elements.js";
import { EpisodeList, SIGNS } from "viewer/episode_list.js";
import { addDriving, addShortcuts } from "viewer/keys.js";
import { ManualWalk } from "viewer/manual_walk.js";
import { setMetrics } from "viewer/metrics.js";
import { setPictureWidths } from "viewer/pictures.js";
import { Player } from "viewer/player.js";
import { isFree } from "viewer/positions.js";
import { Presentation, fitPhones } from "viewer/presentation.js";
import { latest, showNotice } from "viewer/requests.js";
import { Stage } from "viewer/stage.js";
import { themeButton } from "viewer/theme.js";

const get = (id) => document.getElementById(id);
themeButton(get("theme"));
const [site, episodes] = await Promise.all([source.site(), source.episodes()]).catch((error) => {
  showNotice(error.message);
  throw error;
});
setMetrics(site.metrics);
const USER = site.user; // name of the user in traces of walks by hand
let rows = episodes;
const scenes = new Map();
const shown = { row: null, traces: [], step: 0, custom: false };
const hasWebGL = Boolean(new OffscreenCanvas(1, 1).getContext("webgl2"));
const note = site.note || (hasWebGL ? "" : "This browser has no WebGL2: only the map is shown.");
const stage = new Stage(!note);
const player = new Player((step) => showStep(step));
const buttons = { stop, next: walkNextEpisode, leave };
const manualWalk = new ManualWalk(showManualWalk, buttons, site.continuous);
const presentation = new Presentation(() => showStep(shown.step));
const list = new EpisodeList(rows, () => get("agent-a").value, (key) => openEpisode(key));
setPictureWidths(site.widths);

function openEpisode(key, agents = chosenAgents(), step = 0) {
  player.pause();
  closeList();
  const row = rowOf(key);
  // The server's error names the unknown episode.
  if (!row) return latest(() => source.trace(key, agents[0] ?? ""), () => {});
  const names = agentsOf(row, agents);
  if (!names.length) return manualWalk.start({ episode: row.key });
  const loadTraces = () => Promise.all(names.map((name) => source.trace(row.key, name)));
  return showTraces(row, loadTraces, { agents: names, step });
}

// Shows traces of an episode once they and the map of their building are loaded. Until then the page
// stays unchanged.
function showTraces(row, loadTraces, options) {
  const { agents = chosenAgents(), step = 0, custom = false, byHand = false } = options;
  const request = async () => {
    const traces = await loadTraces();
    return { traces, scene: await sceneOf(traces[0].scan) };
  };
  return latest(request, ({ traces, scene }) => {
    player.pause();
    if (!byHand) manualWalk.leave();
    Object.assign(shown, { row, traces, custom });
    document.body.classList.remove("empty");
    showNotice(note);
    fillAgentLists(row, agents);
    list.current = row.key;
    stage.prepare(traces.length, scene);
    updateTitle();
    const arrival = showStep(step);
    // The user may have chosen another step or episode before the first picture arrived.
    const isStillShown = () => shown.traces === traces && shown.step === step;
    if (custom) arrival.then(() => isStillShown() && player.play());
  });
}

const rowOf = (key) => rows.find((row) => row.key === key);

async function sceneOf(scan) {
  if (!scenes.has(scan)) scenes.set(scan, await source.scene(scan));
  return scenes.get(scan);
}

// Shows a step and resolves when the move to it is complete.
function showStep(step) {
  if (!shown.traces.length) return Promise.resolve(); // no trace could be loaded yet
  const last = Math.max(...shown.traces.map((trace) => trace.steps.length)) - 1;
  shown.step = Math.min(last, Math.max(0, step));
  player.update(shown.step, last, shown.traces.every(({ steps }) => isFree(steps[0].viewpoint)));
  const arrival = stage.show(shown.traces, shown.step, {
    showPath: manualWalk.active ? manualWalk.showPath : true,
    attention: get("view-attention").checked,
    objects: get("show-objects").checked,
    choose: chooseCandidate,
    go: goToViewpoint,
    showStep,
  });
  get("stop").textContent = canAct() || manualWalk.over ? "Stop here" : "Back to your last step";
  const takesOver = shown.step > 0 && !manualWalk.active && !shown.custom;
  const label = shown.row.unfinished ? "Continue your walk" : "Walk yourself";
  get("walk").textContent = takesOver ? "Take over here" : label;
  announceStep();
  updateAddress();
  return arrival;
}

function stepOf(trace) {
  return trace.steps[Math.min(shown.step, trace.steps.length - 1)];
}

// A walk by hand continues from its last step; its earlier steps can only be viewed.
function canAct() {
  const { active, over, trace } = manualWalk;
  return active && !over && shown.traces[0] === trace && shown.step === trace.steps.length - 1;
}

// Handles a click on the marker of a candidate: the chosen one continues, another one is faced.
function chooseCandidate(index, number) {
  const step = stepOf(shown.traces[index]);
  if (canAct()) manualWalk.act(number);
  else if (step.action === number) player.go(1);
  else stage.face(index, step.candidates[number - 1].heading);
}

function stop() {
  if (canAct()) manualWalk.act(0);
  else showManualWalk();
}

// Handles a click on a viewpoint of the map.
function goToViewpoint(viewpoint) {
  const { steps } = shown.traces[0];
  const isClicked = (place) => place.viewpoint === viewpoint;
  if (canAct()) {
    const number = 1 + steps[shown.step].candidates.findIndex(isClicked);
    if (number) manualWalk.act(number);
    return;
  }
  // A walk may come back to a viewpoint: each click shows its next visit, after the last the first.
  const arrives = (step) => isClicked(steps[step]) && !(step && isClicked(steps[step - 1]));
  const visits = [...steps.keys()].filter(arrives);
  const next = visits.find((step) => step > shown.step) ?? visits[0];
  if (next !== undefined) showStep(next);
}

// Starts a walk by hand: from the start at step 0, otherwise from the agent's current viewpoint.
function takeOver() {
  const { row, traces, step } = shown;
  const fromAgent = step > 0 && !manualWalk.active && !shown.custom;
  const agent = fromAgent ? { agent: traces[0].agent, steps: step } : {};
  return manualWalk.start({ episode: row.key, ...agent });
}

// Shows the walk by hand at its last step.
function showManualWalk() {
  const { key, trace, over } = manualWalk;
  player.pause();
  // During a request the user may start another walk.
  if (over) return latest(reloadRows, () => showFinishedWalk(key, trace));
  const row = rowOf(key);
  row.unfinished = trace.steps.length > 1;
  return showTraces(row, () => [trace], { step: trace.steps.length - 1, byHand: true });
}

// Shows a finished walk, compared with the chosen agent's.
async function showFinishedWalk(key, trace) {
  const row = rowOf(key);
  const agent = comparisonAgent(row, USER);
  const loadTraces = async () => (agent ? [trace, await source.trace(key, agent)] : [trace]);
  const step = Infinity; // the last step of either walk
  await showTraces(row, loadTraces, { agents: [USER, agent], step, byHand: true });
  if (manualWalk.trace === trace) manualWalk.conclude(row.walks[USER], row.walks[agent], agent);
}

async function reloadRows() {
  list.rows = rows = await source.episodes();
}

function walkNextEpisode() {
  return manualWalk.start({ episode: list.after(manualWalk.key) });
}

function leave() {
  return openEpisode(manualWalk.key);
}

function updateTitle() {
  const { row, traces, custom } = shown;
  get("title").textContent = custom
    ? `Your instruction in ${traces[0].scan}`
    : `Episode ${row.instr_id} in ${row.scan}`;
  document.title = `clipnav: ${get("title").textContent}`;
  get("agents").hidden = manualWalk.active || custom || !Object.keys(row.walks).length;
  const walk = manualWalk.active || custom ? null : row.walks[traces[0].agent];
  const badge = get("outcome");
  badge.hidden = !walk;
  if (walk) {
    badge.className = `badge ${walk.outcome.replace(" ", "-")}`;
    badge.textContent = walk.outcome;
    badge.dataset.sign = SIGNS[walk.outcome];
  }
}

// Announces the step to screen readers.
function announceStep() {
  const { steps } = shown.traces[0];
  const step = stepOf(shown.traces[0]);
  const facts = [`Step ${shown.step}`];
  if (isFree(step.viewpoint)) facts.push(...motionTo(step, steps[steps.indexOf(step) - 1]));
  else facts.push(counted(step.candidates.length, "candidate"));
  const distance = step.distance_to_goal;
  const hidden = distance == null || (manualWalk.active && !manualWalk.showPath);
  if (!hidden) facts.push(`${metres(distance)} from the goal`);
  get("live").textContent = `${facts.join(", ")}.`;
}

// Describes how a continuous walk, which has no candidates, came to a step. The step before it is
// undefined at the start.
function motionTo(step, before) {
  const facts = before?.motion ? [before.motion] : [];
  if (before?.collided) facts.push("collides");
  if (step.action === 0) facts.push("stops here");
  return facts;
}

// Stores the state in the page's address, so that a reload restores it, also during a walk by hand.
function updateAddress() {
  if (shown.custom || location.protocol === "file:") return;
  const { active, over } = manualWalk;
  // During a walk, the lists contain the agent that it will be compared with.
  const [a, b] = active && over ? shown.traces.map((trace) => trace.agent) : chosenAgents();
  const place = active && !over ? { walk: USER } : { step: shown.step };
  const state = { a, b: b ?? "", ...place };
  history.replaceState(null, "", `#${new URLSearchParams({ episode: shown.row.key, ...state })}`);
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

function chooseByNumber(number) {
  if (!shown.traces.length || number > stepOf(shown.traces[0]).candidates.length) return false;
  chooseCandidate(0, number);
}

const shortcuts = {
  Escape: () => (presentation.active ? presentation.toggle() : closeList()),
  "[": () => player.go(-1),
  "]": () => player.go(1),
  p: () => player.toggle(),
  "<": () => player.changeSpeed(-1),
  ">": () => player.changeSpeed(1),
  l: () => player.toggleLoop(),
  e: () => (get("open-list").hidden || presentation.active ? false : openList()),
  f: () => (shown.traces.length ? presentation.toggle() : false),
  a: () => get("overlay").hidden || get("view-attention").click(),
  o: () => get("overlay-objects").hidden || get("show-objects").click(),
  d: () => get("theme").click(),
  n: () => (manualWalk.active && manualWalk.over ? walkNextEpisode() : false),
  s: () => (manualWalk.active && !manualWalk.over ? stop() : false),
  "?": () => get("help-dialog").showModal(),
  number: chooseByNumber,
};

function addListeners() {
  const toggleList = () => (get("list").hidden ? openList() : closeList());
  get("open-list").addEventListener("click", toggleList);
  get("close-list").addEventListener("click", closeList);
  for (const id of ["agent-a", "agent-b"]) {
    get(id).addEventListener("change", async () => {
      await openEpisode(shown.row.key, chosenAgents(), shown.step);
      // If the chosen agent's trace could not be loaded, the lists name the agents still shown.
      fillAgentLists(shown.row, shown.traces.map((trace) => trace.agent));
      list.draw();
    });
  }
  for (const id of ["view-attention", "show-objects", "show-path"]) {
    get(id).addEventListener("change", () => showStep(shown.step));
  }
  get("help").addEventListener("click", shortcuts["?"]);
  get("present").addEventListener("click", shortcuts.f);
  fitPhones();
  get("walk").addEventListener("click", firstClick(takeOver));
  get("browse").addEventListener("click", openList);
  addShortcuts(shortcuts);
  if (site.continuous) addDriving((action) => canAct() && manualWalk.act(action));
}

function start() {
  addListeners();
  get("open-list").hidden = rows.length < 2;
  get("walk").hidden = !source.live;
  get("custom").hidden = !source.live || !site.follower;
  const position = () => {
    const { viewpoint } = stepOf(shown.traces[0]);
    return { key: shown.row.key, viewpoint, heading: stage.heading };
  };
  const showCustom = (trace) => showTraces(shown.row, () => [trace], { custom: true });
  customInstruction(site.follower, position, showCustom);
  addEventListener("hashchange", openAddress); // a link opened in the same tab
  return openAddress();
}

// Shows the episode that the address names, or the first one.
function openAddress() {
  const state = new URLSearchParams(location.hash.slice(1));
  const key = state.get("episode") ?? rows[0].key;
  const agents = [state.get("a") ?? site.agents[0], state.get("b") ?? ""];
  if (state.get("walk") === USER && rowOf(key)?.unfinished) {
    fillAgentLists(rowOf(key), agents);
    return manualWalk.start({ episode: key });
  }
  const step = Math.trunc(Number(state.get("step"))) || 0; // 0 if it is not a number
  return openEpisode(key, agents, step);
}

start();
