// What was flown: the switches of the map's layers, and the card of what lies under a clicked place.

import { both, fact, h, plain } from "./dom.js";
import * as format from "./format.js";
import { picture as pictureOf } from "./preview.js";
import { kinds, methods, words } from "./words.js";

const MOST = 4; // of one kind under one place; what lies there beyond them is told as a number

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
    ...previews.map(({ id, datetime, flight }) => option(id, [format.minute(datetime), flight].filter(Boolean).join(" · "))),
  );
  box.replaceChildren(
    ...switches,
    ...(previews.length ? [h("label", { class: "layer-select", for: "preview" }, both(words.preview)), select] : []),
  );
}

/** What was captured over a clicked place, kind by kind. `onClose` takes the card away. */
export function showCaptures(box, pairs, onClose) {
  const entry = ([kind, item]) => {
    const p = item.properties ?? {};
    const url = `/stac/collections/${encodeURIComponent(kind)}/items/${encodeURIComponent(item.id)}`;
    const method = p["flyonce:footprint_method"];
    const small = pictureOf(item);
    return h(
      "li",
      {},
      small ? h("img", { src: small, alt: "", loading: "lazy", class: "capture-picture" }) : null,
      h("span", { class: "capture-kind" }, h("i", { class: `swatch ${kind}` }), both(kinds[kind])),
      h("a", { href: url, target: "_blank", rel: "noopener" }, String(p.title ?? item.id)),
      h(
        "dl",
        { class: "facts" },
        fact(words.captured, format.time(p.datetime ?? p.start_datetime)),
        fact(words.gsd, format.metres(p.gsd)),
        fact(words.footprintMethod, method ? both(methods[method] ?? [String(method), ""]) : null),
        fact(words.errorM, format.metres(p["flyonce:footprint_error_m"])),
      ),
    );
  };
  const rest = (kind, left) => h("li", { class: "capture-rest" }, both(kinds[kind]), ` + ${left}`);
  const ofKind = Object.keys(kinds).flatMap((kind) => {
    const same = pairs.filter(([other]) => other === kind);
    return [...same.slice(0, MOST).map(entry), ...(same.length > MOST ? [rest(kind, same.length - MOST)] : [])];
  });
  box.replaceChildren(
    h(
      "div",
      { class: "captures-head" },
      h("h2", { tabindex: "-1" }, both(words.here)),
      h("button", { type: "button", on: { click: onClose } }, both(words.close)),
    ),
    h("ul", {}, ...ofKind),
  );
  box.hidden = false;
}
