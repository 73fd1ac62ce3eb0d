// Building the page. Text from the server only ever becomes a text node or an attribute checked here: no innerHTML.

/**
 * An element with attributes and children. Strings become text nodes; null children are left out. `on` adds listeners.
 * @param {string} tag
 * @param {Record<string, string | boolean | null | undefined> & {on?: Record<string, EventListener>}} attributes
 * @param {...(Node | string | null)} children
 */
export function h(tag, attributes = {}, ...children) {
  const { on = {}, ...plain } = attributes;
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(plain)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Both languages side by side, each marked with its language so that fonts and screen readers choose well. */
export function both([zh, en], separator = " ") {
  const span = h("span", { class: "both" }, h("span", { lang: "zh-CN" }, zh));
  if (en) span.append(separator, h("span", { lang: "en", class: "en" }, en));
  return span;
}

/** Both languages as one string, for places that hold no elements (options, labels, alternative texts). */
export const plain = ([zh, en]) => (en ? `${zh} ${en}` : zh);

/** A row of a description list; left out where there is nothing to tell. */
export function fact(term, value) {
  if (value == null || value === "") return null;
  return h("div", {}, h("dt", {}, both(term)), h("dd", {}, value));
}

/** A command line to type, broken between its options only. */
export function command(text) {
  const words = text.split(/ (?=--)/).flatMap((part) => [h("span", {}, part), " "]);
  return h("code", {}, ...words.slice(0, -1));
}
