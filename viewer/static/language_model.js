// Thought, answers and prompt of an agent that asks a language model.

import { html } from "viewer/elements.js";
import { picture } from "viewer/pictures.js";

const FIELD = Math.PI / 3; // of a prompt's picture, in radians
const SIDE = 168, WIDTH = 1024; // pixels of a picture here, and of the panorama that it is cut from

// Returns the words of a model at a step; null for an agent without a model. `open` tells whether
// the prompt is shown.
export function modelPanel(trace, number, { second, named, pictures, open }) {
  const { model } = trace.steps[number];
  if (!model) return null;
  const block = html("div", { class: second ? "model two" : "model" });
  if (named) block.append(html("span", { class: "agent-name" }, trace.agent));
  const answer = model.answers.at(-1);
  block.append(html("p", { class: "thought", dir: "auto" }, model.thought || answer?.text || "(no answer)"));
  if (model.plan) block.append(html("p", { class: "plan", dir: "auto" }, `Plan: ${model.plan}`));
  for (const { kind, problem } of model.answers) {
    if (kind !== "valid") block.append(html("p", { class: "note" }, `${kind}: ${problem ?? ""}`));
  }
  const details = html("details", {}, html("summary", {}, "Prompt and answers"));
  const fillOnce = () => {
    if (details.open && details.childElementCount === 1) {
      details.append(...promptParts(trace, model, pictures), ...answerParts(model));
    }
  };
  details.addEventListener("toggle", fillOnce);
  details.open = open;
  block.append(details);
  return block;
}

function promptParts(trace, model, pictures) {
  let role = null;
  return model.prompt.flatMap((part) => {
    const heading = part.role === role ? [] : [html("h3", {}, part.role)];
    role = part.role;
    if (part.text) return [...heading, html("pre", { dir: "auto" }, part.text)];
    if (!pictures) return [...heading, html("p", { class: "note" }, "(picture)")];
    return [...heading, view(trace.scan, part)];
  });
}

function answerParts(model) {
  return model.answers.flatMap(({ text, reasoning }) => [
    html("h3", {}, "answer"),
    ...(reasoning ? [html("pre", { class: "reasoning", dir: "auto" }, reasoning)] : []),
    html("pre", { dir: "auto" }, text || "(empty)"),
  ]);
}

// A part of the panorama in the direction of a picture. Its edges are less distorted than those of
// the picture that the model got.
function view(scan, { viewpoint, heading = 0, elevation = 0, vfov }) {
  const canvas = html("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": "picture" });
  picture(scan, viewpoint, WIDTH).then(
    (image) => {
      const side = (image.width * (vfov ?? FIELD)) / (2 * Math.PI);
      const turns = heading / (2 * Math.PI) + 0.5;
      const left = (turns - Math.floor(turns)) * image.width - side / 2;
      const top = image.height * (0.5 - elevation / Math.PI) - side / 2;
      const scale = SIDE / side;
      const pen = canvas.getContext("2d");
      for (const shift of [-image.width, 0, image.width]) {
        const [x, y] = [(shift - left) * scale, -top * scale];
        pen.drawImage(image, x, y, image.width * scale, image.height * scale);
      }
      canvas.dataset.picture = `${scan}/${viewpoint}`;
    },
    (error) => canvas.replaceWith(html("p", { class: "note" }, `(picture: ${error.message})`)),
  );
  return canvas;
}
