// The list of events: links, so that every one can be reached by keyboard, opened in a new tab, and sent to a colleague.

import { thumbnails } from "./crops.js";
import { both, h } from "./dom.js";
import * as format from "./format.js";
import { stateOf, words } from "./words.js";

const STEP = 100; // rows drawn at once

export const hashOf = (id) => `#event/${encodeURIComponent(id)}`;

/** The event that an address's hash names, or null. A hash that is no valid encoding names none. */
export function idOf(hash) {
  const [, encoded] = /^#event\/(.+)$/.exec(hash) ?? [];
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

/** The names of an event's class; its bare name where the code list has none for it. */
export const className = (event) => [event.name_zh || event.class, event.name_en || (event.name_zh ? event.class : "")];

export function badge(state) {
  const { text, tone } = stateOf(state);
  return h("span", { class: `badge ${tone}` }, both(text));
}

function row(event) {
  const details = [format.area(event.area_m2), format.score(event.score), format.minute(event.last_seen)];
  return h(
    "li",
    {},
    h(
      "a",
      { class: "row", href: hashOf(event.id), "data-event": event.id },
      thumbnails(event.evidence),
      h(
        "span",
        { class: "row-text" },
        h("strong", { class: "row-head" }, both(className(event))),
        h(
          "span",
          { class: "row-state" },
          badge(event.state),
          event.ticket ? h("span", { class: "row-ticket" }, event.ticket) : null,
        ),
        h("span", { class: "row-facts" }, details.filter(Boolean).join(" · ")),
      ),
    ),
  );
}

/** Fills `list` (an <ol>) with rows, the first hundred at once and the rest on demand by a button after it. */
export function showList(list, more, events) {
  list.replaceChildren();
  const draw = () => {
    const from = list.childElementCount;
    list.append(...events.slice(from, from + STEP).map(row));
    const left = events.length - list.childElementCount;
    more.hidden = left === 0;
    more.replaceChildren(both(words.more), ` (${left})`);
  };
  more.onclick = draw;
  draw();
}
