// What is in the catalogue as a whole: totals, and what to do when there is nothing or something went wrong.

import { ApiError } from "./api.js";
import { both, command, h } from "./dom.js";
import { kinds, words } from "./words.js";

/** The numbers in the page's head. A plus sign says that only the newest were read. */
export function showTotals(box, found, events) {
  const total = (label, number, more = false) =>
    h("div", {}, h("dt", {}, both(label)), h("dd", {}, `${number}${more ? "+" : ""}`));
  const filed = events.filter(({ ticket }) => ticket).length;
  box.replaceChildren(
    ...["flights", "photos", "orthophotos"].map((kind) => total(kinds[kind], found[kind].items.length, found[kind].more)),
    total(words.events, events.length),
    total(words.tickets, filed),
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
