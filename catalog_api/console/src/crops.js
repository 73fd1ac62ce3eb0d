// The two pictures of an event, before and after.

import { ownPath } from "./api.js";
import { both, h, plain } from "./dom.js";
import { words } from "./words.js";

/** The picture, or words in its place where there is none or it cannot be read. `name` is for who cannot see it. */
export function picture(href, name) {
  const url = ownPath(href);
  if (!url) return h("span", { class: "no-image" }, both(words.noCrop));
  const image = h("img", { src: url, alt: plain(name), loading: "lazy", decoding: "async" });
  image.addEventListener("error", () =>
    image.replaceWith(h("span", { class: "no-image" }, both(words.imageFailed))),
  );
  return image;
}

/** Both crops in full, each a link to the file itself. */
export function figures({ before, after } = {}) {
  const figure = (href, name) => {
    const url = ownPath(href);
    const shown = picture(href, name);
    return h(
      "figure",
      {},
      h("figcaption", {}, both(name)),
      url ? h("a", { href: url, target: "_blank", rel: "noopener", title: plain(words.openFull) }, shown) : shown,
    );
  };
  return h("div", { class: "crops" }, figure(before, words.before), figure(after, words.after));
}

/** Both crops small, for a row of the list. */
export function thumbnails({ before, after } = {}) {
  const thumb = (href, name, mark) =>
    h("span", { class: "thumb" }, picture(href, name), h("span", { "aria-hidden": "true" }, mark));
  return h("span", { class: "thumbs" }, thumb(before, words.before, "前"), thumb(after, words.after, "后"));
}
