// What was flown: the switches of the map's layers, and the card of what lies under a clicked place.

import { both, fact, h, plain } from "./dom.js";
import * as format from "./format.js";
import { kinds, methods, words } from "./words.js";

const CARDS = 5; // more than this under one place is told as a number

/** A switch with swatch and count for each kind, and the choice of the orthophoto laid on the map. */
export function showLayers(box, found, previews, { visible, preview, onVisible, onPreview }) {
  const switches = Object.entries(found).map(([kind, { items, more }]) =>
    h(
      "label",
      { class: "layer" },
      h("input", {
        type: "checkbox",
        checked: visible.has(kind),
        on: { change: ({ target }) => onVisible(kind, target.checked) },
      }),
      h("i", { class: `swatch ${kind}` }),
      both(kinds[kind]),
      h("b", more ? { title: plain(words.partial) } : {}, `${items.length}${more ? "+" : ""}`),
    ),
  );
  const option = (id, text) => h("option", { value: id, selected: id === (preview?.id ?? "") }, text);
  const select = h(
    "select",
    { id: "preview", on: { change: () => onPreview(previews.find(({ id }) => id === select.value) ?? null) } },
    option("", plain(words.noPreview)),
    ...previews.map(({ id, datetime }) => option(id, `${format.minute(datetime) ?? ""} ${id}`.trim())),
  );
  box.replaceChildren(
    ...switches,
    ...(previews.length ? [h("label", { class: "layer-select", for: "preview" }, both(words.preview)), select] : []),
  );
}

/** The card of the items under a place. */
export function card(pairs) {
  const entry = ([kind, item]) => {
    const p = item.properties ?? {};
    const url = `/stac/collections/${encodeURIComponent(kind)}/items/${encodeURIComponent(item.id)}`;
    return h(
      "li",
      {},
      h("span", { class: "card-kind" }, h("i", { class: `swatch ${kind}` }), both(kinds[kind])),
      h("a", { href: url, target: "_blank", rel: "noopener" }, String(p.title ?? item.id)),
      h(
        "dl",
        {},
        fact(words.captured, format.time(p.datetime ?? p.start_datetime)),
        fact(words.gsd, format.metres(p.gsd)),
        fact(words.footprintMethod, p["flyonce:footprint_method"] ? both(methodOf(p)) : null),
        fact(words.errorM, format.metres(p["flyonce:error_m"])),
      ),
    );
  };
  return h(
    "div",
    { class: "card" },
    h("ul", {}, ...pairs.slice(0, CARDS).map(entry)),
    pairs.length > CARDS ? h("p", {}, `+ ${pairs.length - CARDS}`) : null,
  );
}

const methodOf = (properties) => {
  const method = properties["flyonce:footprint_method"];
  return methods[method] ?? [String(method), ""];
};
