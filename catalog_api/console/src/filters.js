// Which events are shown: one state and one class, or all. The choice is a pure value; the controls only edit it.

import { both, h, plain } from "./dom.js";
import { className } from "./list.js";
import { stateOf, states, words } from "./words.js";

/** The events that pass, the last seen first, then the most certain. */
export function choose(events, { state, kind }) {
  return events
    .filter((event) => (!state || event.state === state) && (!kind || event.class === kind))
    .sort((a, b) => String(b.last_seen ?? "").localeCompare(String(a.last_seen ?? "")) || b.score - a.score);
}

function counted(events, key) {
  const counts = new Map();
  for (const event of events) counts.set(event[key], (counts.get(event[key]) ?? 0) + 1);
  return counts;
}

/** Draws the controls for the states and classes that occur, and calls `onChange(choice)` at each choice. */
export function showFilters({ stateBox, classBox }, events, choice, onChange) {
  const order = Object.keys(states);
  const rank = ([name]) => (order.includes(name) ? order.indexOf(name) : order.length);
  const byState = [...counted(events, "state")].sort((a, b) => rank(a) - rank(b));
  const chip = (value, label, count, tone) =>
    h(
      "label",
      { class: `chip ${tone}` },
      h("input", {
        type: "radio",
        name: "state",
        value,
        checked: value === choice.state,
        on: { change: () => onChange({ ...choice, state: value }) },
      }),
      h("span", {}, both(label), h("b", {}, String(count))),
    );
  stateBox.replaceChildren(
    chip("", words.all, events.length, "any"),
    ...byState.map(([name, count]) => chip(name, stateOf(name).text, count, stateOf(name).tone)),
  );

  const option = (value, text) => h("option", { value, selected: value === choice.kind }, text);
  const first = new Map(events.map((event) => [event.class, event]));
  classBox.replaceChildren(
    option("", `${plain(words.all)} (${events.length})`),
    ...[...counted(events, "class")].map(([name, count]) =>
      option(name, `${plain(className(first.get(name)))} (${count})`),
    ),
  );
  classBox.onchange = () => onChange({ ...choice, kind: classBox.value });
}
