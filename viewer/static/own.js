// The dialog in which the user writes an instruction for an agent to follow.

import { source } from "viewer/source.js";

const get = (id) => document.getElementById(id);

// `where()` tells the episode's key, and viewpoint and heading of the step that is shown;
// `show(trace)` shows the walk.
export function ownInstruction(follower, where, show) {
  const dialog = get("own-dialog");
  let closed = 0; // times; who closes the dialog does not want the walk any more
  dialog.addEventListener("close", () => (closed += 1));
  get("own-who").textContent = `The agent “${follower}” will follow it.`;
  get("own").addEventListener("click", () => {
    get("own-error").textContent = "";
    dialog.showModal();
    get("own-text").focus();
  });
  get("own-cancel").addEventListener("click", () => dialog.close());
  get("own-goal").addEventListener("change", (event) => {
    const start = dialog.querySelector("[value=episode]");
    if (event.target.checked) start.checked = true;
  });
  dialog.querySelector("[value=here]").addEventListener("change", () => {
    get("own-goal").checked = false;
  });
  get("own-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) get("own-go").click();
  });
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { key, viewpoint, heading } = where();
    const here = dialog.querySelector("[value=here]").checked;
    const body = {
      episode: key,
      instruction: get("own-text").value,
      keep_goal: get("own-goal").checked,
      ...(here ? { viewpoint, heading } : {}),
    };
    const before = closed;
    get("own-error").textContent = "";
    get("own-go").disabled = true;
    try {
      const trace = await source.follow(body);
      if (closed > before) return;
      dialog.close();
      show(trace);
    } catch (error) {
      if (closed === before) get("own-error").textContent = error.message;
    } finally {
      get("own-go").disabled = false;
    }
  });
}
