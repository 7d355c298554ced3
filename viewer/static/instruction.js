// An instruction with the attention over its words. Words are the units, never letters: those of
// Devanagari and Telugu join to signs.

import { strengths } from "viewer/attention.js";
import { html, percent } from "viewer/svg.js";

export function instruction(trace, number, { second, named }) {
  const weights = trace.steps[number].word_attention;
  const block = html("div", { class: second ? "instruction two" : "instruction" });
  // All around the words is English, which a screen reader would else read as Hindi or Telugu.
  const words = html("span", { class: "words", lang: trace.language });
  if (named) block.append(html("span", { class: "who" }, trace.agent));
  const read = weights ? lastRead(trace) : trace.words.length;
  const shades = weights ? strengths(weights, read + 2) : [];
  const most = Math.max(...shades);
  const last = trace.words.length + 1;
  if (shades[0] > 0) block.append(mark("start", weights[0], shades[0]), " ");
  trace.words.forEach((word, place) => {
    const [text, blank] = [word.trimEnd(), word.slice(word.trimEnd().length)];
    const unknown = trace.unknown_words.includes(place);
    const shade = shades[place + 1] ?? 0;
    const kinds = [
      ...["word", weights && shade === most && "most", place >= read && "unread"],
      unknown && "unknown",
    ];
    const title = [
      weights ? `attention ${percent(weights[place + 1])}` : null,
      unknown ? "the agent does not know this word and reads it as unknown" : null,
    ];
    words.append(piece(text, shade, kinds, title), blank);
  });
  block.append(words);
  if (shades[last] > 0) block.append(" ", mark("end", weights[last], shades[last]));
  block.append(...notes(trace, read));
  if (weights) block.append(summary(trace, weights));
  return block;
}

// Attention of a word that no step looks at is 0: it was cut off.
function lastRead(trace) {
  const read = new Set();
  for (const step of trace.steps) {
    step.word_attention?.forEach((weight, place) => weight > 0 && read.add(place));
  }
  let count = trace.words.length;
  while (count > 0 && !read.has(count)) count -= 1;
  return read.size > 2 && trace.words.length - count > 3 ? count : trace.words.length;
}

function piece(text, shade, kinds, titles) {
  const title = titles.filter(Boolean).join("; ") || null;
  const attributes = { class: kinds.filter(Boolean).join(" "), title, style: tint(shade) };
  return html("span", attributes, text);
}

function mark(name, weight, shade) {
  const title = `attention ${percent(weight)} on the mark of the ${name}`;
  return html("span", { class: "end", title, style: tint(shade) }, name);
}

const tint = (shade) => (shade > 0 ? `--shade: ${Math.round(100 * shade)}%` : null);

function notes(trace, read) {
  const found = [];
  if (read < trace.words.length) found.push(`The agent reads the first ${read} words only.`);
  if (trace.unknown_words.length) found.push("The agent reads the underlined words as unknown.");
  return found.map((text) => html("span", { class: "note" }, text));
}

function summary(trace, weights) {
  const most = trace.words
    .map((word, place) => [word.trim(), weights[place + 1]])
    .sort((one, other) => other[1] - one[1])
    .slice(0, 3)
    .flatMap(([word, weight], place) => [
      place ? ", " : "",
      html("span", { lang: trace.language }, word),
      ` (${percent(weight)})`,
    ]);
  return html("span", { class: "unseen" }, "Attends most to: ", ...most, ".");
}
