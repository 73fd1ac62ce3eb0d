// What is in the catalogue as a whole: totals, and what to do when there is nothing or something went wrong.

import { ApiError } from "./api.js";
import { both, command, h } from "./dom.js";
import { kinds, words } from "./words.js";

const sum = (counts) => Object.values(counts).reduce((all, n) => all + n, 0);

/** The numbers in the page's head: what the server counted, and the tickets among the events that were read. */
export function showTotals(box, { items, events: byState }, events) {
  const total = (label, number) => h("div", {}, h("dt", {}, both(label)), h("dd", {}, String(number)));
  const partial = events.length < sum(byState);
  box.replaceChildren(
    ...["flights", "orthophotos", "photos"].map((kind) => total(kinds[kind], items[kind] ?? 0)),
    total(words.events, sum(byState)),
    total(words.tickets, `${events.filter(({ ticket }) => ticket).length}${partial ? "+" : ""}`),
  );
}

/** What to run next, where the catalogue holds nothing or nothing was found in it yet. */
export function showEmpty(box, events, anyItem) {
  const parts = anyItem
    ? [
        h("h2", {}, both(words.emptyEvents)),
        h("p", {}, both(words.emptyEventsHint)),
        command("flyonce change BEFORE AFTER"),
        command("flyonce detect debris SOURCE"),
      ]
    : [
        h("h2", {}, both(words.empty)),
        h("p", {}, both(words.emptyDemo)),
        command("flyonce demo"),
        h("p", {}, both(words.emptyIngest)),
        command("flyonce ingest PATH --flight NAME --department CODE"),
      ];
  box.replaceChildren(...(events ? [] : [h("div", { class: "empty" }, ...parts)]));
}

/** Says that something could not be read, and why, as far as the server told. */
export function showProblem(box, error) {
  if (!(error instanceof ApiError)) console.error(error); // an answer of a shape that this page does not know
  box.replaceChildren(
    h(
      "div",
      { class: "problem", role: "alert" },
      h("p", {}, both(error.status === 401 ? words.unauthorised : words.unreachable)),
      h("p", { class: "code" }, error.message),
    ),
  );
}
