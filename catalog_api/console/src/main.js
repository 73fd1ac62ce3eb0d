// The page: reads everything once, keeps what is chosen, and tells each part what to show.

import { events as readEvents, items as readItems, stats as readStats } from "./api.js";
import { showDetail } from "./detail.js";
import { both, h } from "./dom.js";
import { choose, showFilters } from "./filters.js";
import { showCaptures, showLayers } from "./footprints.js";
import { hashOf, idOf, showList } from "./list.js";
import { boundsOf, openMap } from "./map.js";
import { previews as previewsOf } from "./preview.js";
import { showEmpty, showProblem, showTotals } from "./status.js";
import { kinds, words } from "./words.js";

const MOST = { flights: 500, photos: 2000, orthophotos: 500, detections: 200, changes: 200 };
const FEW_PHOTOS = 60; // more outlines than this hide what they are drawn on until they are asked for

const at = (id) => document.getElementById(id);

/** Everything that was read, and what a person chose to see of it. */
const page = {
  events: [],
  found: Object.fromEntries(Object.keys(kinds).map((kind) => [kind, { items: [], more: false }])),
  previews: [],
  choice: { state: "", kind: "" },
  visible: new Set(["flights", "orthophotos"]), // runs lie where the imagery lies that they were made from
  preview: null,
};
let map = null;

const shown = () => choose(page.events, page.choice);
const selectedId = () => idOf(location.hash);

function drawList() {
  const events = shown();
  showFilters({ stateBox: at("states"), classBox: at("classes") }, page.events, page.choice, (choice) => {
    const byKey = at("states").contains(document.activeElement);
    page.choice = choice;
    drawList();
    if (byKey) at("states").querySelector("input:checked")?.focus(); // the control it was on has been drawn anew
  });
  showList(at("list"), at("more"), events);
  at("filters").hidden = page.events.length === 0;
  at("shown").replaceChildren(
    page.events.length && !events.length ? both(words.noMatch) : `${events.length} / ${page.events.length}`,
  );
  map?.showEvents(events);
  drawSelection({ focus: false, fly: false });
}

/** Shows the event that the address names, or the list when it names none. */
function drawSelection({ focus, fly }) {
  const id = selectedId();
  const event = page.events.find((candidate) => String(candidate.id) === id);
  at("detail").hidden = !event;
  at("overview").hidden = Boolean(event);
  map?.select(event?.id ?? null);
  if (!event) return;
  closeCaptures();
  const heading = showDetail(at("detail-body"), event);
  const events = shown();
  const index = events.indexOf(event);
  const step = (link, neighbour) => {
    link.toggleAttribute("aria-disabled", !neighbour);
    if (neighbour) link.href = hashOf(neighbour.id);
    else link.removeAttribute("href");
  };
  step(at("previous"), events[index - 1]);
  step(at("next"), index < 0 ? undefined : events[index + 1]);
  at("position").textContent = index < 0 ? "" : `${index + 1} / ${events.length}`;
  if (fly) map?.flyTo(event.lon, event.lat);
  if (focus) {
    at("detail").scrollIntoView({ block: "start" });
    heading.focus({ preventScroll: true });
  }
}

/** Back to the list, with the focus on the row that was left. */
function closeDetail(left) {
  drawSelection({ focus: false, fly: false });
  const row = [...at("list").querySelectorAll("[data-event]")].find((link) => link.dataset.event === left);
  row?.focus();
}

function drawLayers() {
  showLayers(at("layer-box"), page.found, page.previews, {
    visible: page.visible,
    preview: page.preview,
    onVisible(kind, visible) {
      if (visible) page.visible.add(kind);
      else page.visible.delete(kind);
      map?.setVisible(kind, visible);
    },
    onPreview(preview) {
      page.preview = preview;
      map?.showPreview(preview);
    },
  });
}

const placed = (events) => events.filter(({ lon, lat }) => Number.isFinite(lon) && Number.isFinite(lat));
const boundsOfAll = (things) => boundsOf(things.map(({ geometry }) => geometry));

const everything = () =>
  boundsOfAll([...placed(page.events), ...Object.values(page.found).flatMap(({ items }) => items)]);

/** The newest flight's events, or else the newest imagery: the whole catalogue may span cities. */
function firstView() {
  const [newest] = choose(placed(page.events), { state: "", kind: "" });
  if (newest) return boundsOfAll(placed(page.events).filter(({ flight }) => flight === newest.flight));
  const { orthophotos, flights, photos } = page.found;
  const item = [orthophotos, flights, photos].flatMap(({ items }) => items.slice(0, 1))[0];
  return item ? boundsOfAll([item]) : null;
}

function drawMap() {
  if (!map) return;
  for (const [kind, { items }] of Object.entries(page.found)) {
    map.showFootprints(kind, items);
    map.setVisible(kind, page.visible.has(kind));
  }
  map.showPreview(page.preview);
}

async function read() {
  at("status").replaceChildren(both(words.loading));
  const reading = Object.entries(MOST).map(async ([kind, limit]) => [kind, await readItems(kind, limit)]);
  const [events, stats, ...found] = await Promise.allSettled([readEvents(), readStats(), ...reading]);
  if (events.status === "fulfilled") page.events = events.value;
  for (const answer of found) {
    if (answer.status === "fulfilled") page.found[answer.value[0]] = answer.value[1];
  }
  if (page.found.photos.items.length <= FEW_PHOTOS) page.visible.add("photos");
  page.previews = previewsOf(page.found.orthophotos.items);
  page.preview = page.previews[0] ?? null;

  const problem = [events, stats, ...found].find(({ status }) => status === "rejected");
  if (problem) showProblem(at("status"), problem.reason);
  else showEmpty(at("status"), page.events.length, Object.values(page.found).some(({ items }) => items.length));
  if (stats.status === "fulfilled") showTotals(at("totals"), stats.value, page.events);
  drawLayers();
  drawMap();
  drawList();
}

/** What was captured over a clicked place; nothing where the click met no footprint. */
function drawCaptures(pairs, place) {
  at("captures").hidden = pairs.length === 0;
  map.markPlace(pairs.length ? place : null);
  if (!pairs.length) return;
  const items = pairs.map(([kind, id]) => [kind, page.found[kind].items.find((item) => item.id === id)]);
  showCaptures(at("captures"), items, closeCaptures);
  at("captures").scrollIntoView({ block: "start" });
  at("captures").querySelector("h2").focus({ preventScroll: true });
}

function closeCaptures() {
  at("captures").hidden = true;
  map?.markPlace(null);
}

async function startMap() {
  try {
    map = await openMap({
      container: at("map"),
      labels: at("degrees"),
      workerUrl: new URL("assets/maplibre-gl-worker.js", document.baseURI).href,
      locale: {
        "NavigationControl.ZoomIn": "放大 Zoom in",
        "NavigationControl.ZoomOut": "缩小 Zoom out",
        "Map.Title": "地图 Map",
      },
      onEvent: (id) => (location.hash = hashOf(id)),
      onFootprints: drawCaptures,
    });
  } catch (error) {
    // MapLibre throws an Error whose message is for developers; what a person needs to know is that the list still works.
    console.warn(error);
    at("map").replaceChildren(h("p", { class: "map-failed" }, both(words.mapFailed)));
  }
}

at("all").addEventListener("click", () => map?.fit(everything()));
at("close").addEventListener("click", () => {
  const left = selectedId();
  history.pushState(null, "", location.pathname);
  closeDetail(left);
});
addEventListener("hashchange", ({ oldURL }) => {
  if (selectedId() === null) closeDetail(idOf(new URL(oldURL).hash));
  else drawSelection({ focus: true, fly: true });
});
addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  if (!at("captures").hidden) closeCaptures();
  else if (!at("detail").hidden) at("close").click();
});

await Promise.all([startMap(), read()]);
drawMap();
drawList();
map?.fit(firstView(), { animate: false });
drawSelection({ focus: false, fly: true });
document.body.dataset.ready = "true";
