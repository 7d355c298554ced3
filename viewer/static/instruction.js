// An instruction with the attention over its words. Words are never split, because letters of
// Devanagari and Telugu form ligatures. Lines, such as the messages of a dialog, are shown as turns.

import { strengths } from "viewer/attention.js";
import { html, percent } from "viewer/elements.js";

// Speakers of a dialog in English, Hindi and Telugu, as in envs/goals/cvdn.py.
const SPEAKERS = {
  Question: "question",
  Answer: "answer",
  "प्रश्न": "question",
  "उत्तर": "answer",
  "ప్రశ్న": "question",
  "జవాబు": "answer",
};

export function instruction(trace, number, { second, named }) {
  const weights = trace.steps[number].word_attention;
  const block = html("div", { class: second ? "instruction two" : "instruction" });
  // Only the words have the language of the instruction: a screen reader reads the rest as English.
  const words = html("span", { class: "words", lang: trace.language, dir: "auto" });
  if (named) block.append(html("span", { class: "agent-name" }, trace.agent));
  const read = weights ? wordsRead(trace) : trace.words.length;
  const shades = weights ? strengths(weights, read + 2) : [];
  const strongest = Math.max(...shades);
  const last = trace.words.length + 1;
  if (shades[0] > 0) block.append(specialToken("start", weights[0], shades[0]), " ");
  const hasTurns = trace.instruction.includes("\n");
  let turn = words;
  trace.words.forEach((word, index) => {
    const [text, blank] = [word.trimEnd(), word.slice(word.trimEnd().length)];
    if (hasTurns && (!index || trace.words[index - 1].includes("\n"))) {
      turn = html("span", { class: `turn ${SPEAKERS[text] ?? ""}`.trim() });
      words.append(turn);
    }
    const unknown = trace.unknown_words.includes(index);
    const shade = shades[index + 1] ?? 0;
    const classes = [
      "word",
      shade > 0 && shade === strongest && "most",
      index >= read && "unread",
      unknown && "unknown",
    ];
    const titles = [
      weights ? `attention ${percent(weights[index + 1])}` : null,
      unknown ? "not in the agent's vocabulary: the agent reads an unknown token" : null,
    ];
    turn.append(wordElement(text, shade, classes, titles), blank);
  });
  block.append(words);
  if (shades[last] > 0) block.append(" ", specialToken("end", weights[last], shades[last]));
  block.append(...notes(trace, read));
  if (weights) block.append(summary(trace, weights));
  return block;
}

// Number of words that the agent reads. Words beyond its maximum length have no attention at any
// step.
function wordsRead(trace) {
  const attended = new Set();
  for (const step of trace.steps) {
    step.word_attention?.forEach((weight, index) => weight > 0 && attended.add(index));
  }
  let count = trace.words.length;
  while (count > 0 && !attended.has(count)) count -= 1;
  return attended.size > 2 && trace.words.length - count > 3 ? count : trace.words.length;
}

function wordElement(text, shade, classes, titles) {
  const title = titles.filter(Boolean).join("; ") || null;
  const attributes = { class: classes.filter(Boolean).join(" "), title, style: tint(shade) };
  return html("span", attributes, text);
}

function specialToken(name, weight, shade) {
  const title = `attention ${percent(weight)} on the ${name} token`;
  return html("span", { class: "end", title, style: tint(shade) }, name);
}

const tint = (shade) => (shade > 0 ? `--shade: ${Math.round(100 * shade)}%` : null);

function notes(trace, read) {
  const texts = [];
  if (read < trace.words.length) texts.push(`The agent reads only the first ${read} words.`);
  if (trace.unknown_words.length) {
    texts.push("Underlined words are not in the agent's vocabulary.");
  }
  return texts.map((text) => html("span", { class: "note" }, text));
}

// The words with the most attention, for screen readers.
function summary(trace, weights) {
  const words = trace.words
    .map((word, index) => [word.trim(), weights[index + 1]])
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .flatMap(([word, weight], index) => [
      index ? ", " : "",
      html("span", { lang: trace.language }, word),
      ` (${percent(weight)})`,
    ]);
  return html("span", { class: "visually-hidden" }, "Most attention: ", ...words, ".");
}
