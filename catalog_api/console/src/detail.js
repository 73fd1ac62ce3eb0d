// One event: its crops, and everything known about it.

import { figures } from "./crops.js";
import { both, command, fact, h } from "./dom.js";
import * as format from "./format.js";
import { badge, className } from "./list.js";
import { words } from "./words.js";

/** Where it lies and how well that is known, or that it lies nowhere on the ground. */
function place({ lon, lat, error_m: error }) {
  const where = format.place(lon, lat);
  if (where === null) return both(words.noPlace);
  return [where, error ? `± ${format.metres(error)}` : ""].filter(Boolean).join(" ");
}

/** Replaces the content of `body` by what is known of `event`, and returns the heading, to be focused. */
export function showDetail(body, event) {
  const heading = h("h2", { tabindex: "-1" }, both(className(event)));
  const ticket = event.ticket ? h("span", { class: "code" }, event.ticket) : both(words.noTicket);
  const parts = [
    h("div", { class: "detail-head" }, heading, badge(event.state)),
    figures(event.evidence),
    h(
      "dl",
      { class: "facts" },
      fact(words.ticket, ticket),
      fact(words.approvedBy, event.approved_by),
      fact(words.classCode, event.code ? h("span", { class: "code" }, event.code) : null),
      fact(words.area, format.area(event.area_m2)),
      fact(words.score, format.score(event.score)),
      fact(words.place, place(event)),
      fact(words.firstSeen, format.time(event.first_seen)),
      fact(words.lastSeen, format.time(event.last_seen)),
      fact(words.flight, event.flight),
      fact(words.event, h("span", { class: "code" }, String(event.id))),
    ),
    event.state === "candidate"
      ? h("div", { class: "hint" }, both(words.reviewHint), command(`flyonce review approve ${event.id} --by NAME`))
      : null,
  ];
  body.replaceChildren(...parts.filter(Boolean));
  return heading;
}
