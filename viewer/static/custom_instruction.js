// Dialog in which the user types an instruction for an agent to follow.

import { source } from "viewer/data_source.js";

const get = (id) => document.getElementById(id);

// `position()` returns the key of the episode, and viewpoint and heading of the step shown;
// `show(trace)` shows the walk.
export function customInstruction(follower, position, show) {
  const dialog = get("custom-dialog");
  let closings = 0; // closing the dialog cancels the request
  dialog.addEventListener("close", () => (closings += 1));
  get("custom-agent").textContent = `The agent “${follower}” will follow it.`;
  get("custom").addEventListener("click", () => {
    get("custom-error").textContent = "";
    dialog.showModal();
    get("custom-text").focus();
  });
  get("custom-cancel").addEventListener("click", () => dialog.close());
  get("custom-goal").addEventListener("change", (event) => {
    const start = dialog.querySelector("[value=episode]");
    if (event.target.checked) start.checked = true;
  });
  dialog.querySelector("[value=here]").addEventListener("change", () => {
    get("custom-goal").checked = false;
  });
  get("custom-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) get("custom-start").click();
  });
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { key, viewpoint, heading } = position();
    const here = dialog.querySelector("[value=here]").checked;
    const body = {
      episode: key,
      instruction: get("custom-text").value,
      keep_goal: get("custom-goal").checked,
      ...(here ? { viewpoint, heading } : {}),
    };
    const closingsBefore = closings;
    get("custom-error").textContent = "";
    get("custom-start").disabled = true;
    try {
      const trace = await source.follow(body);
      if (closings > closingsBefore) return;
      dialog.close();
      show(trace);
    } catch (error) {
      if (closings === closingsBefore) get("custom-error").textContent = error.message;
    } finally {
      get("custom-start").disabled = false;
    }
  });
}
