// How the map looks: a style without tiles, sprites, or glyphs, so that it needs nothing but this server.

import { states } from "./words.js";

/** One colour per group of states; each has at least 4.5 : 1 against the page's white (styles.css uses the same). */
export const tones = {
  waiting: "#a84300",
  agreed: "#1d4ed8",
  working: "#6d28d9",
  done: "#15703d",
  dropped: "#5b6472",
};

export const kindColours = {
  flights: "#0f5c66",
  photos: "#4b6b88",
  orthophotos: "#0b7a5c",
  detections: "#8a3b12",
  changes: "#7a2e6b",
};

const nothing = { type: "FeatureCollection", features: [] };
const geojson = (data = nothing) => ({ type: "geojson", data });
const byState = [
  "match",
  ["get", "state"],
  ...Object.entries(states).flatMap(([name, { tone }]) => [name, tones[tone]]),
  tones.dropped,
];
const selected = (id) => ["==", ["get", "id"], id];

function footprintLayers(kind) {
  const common = { source: kind };
  const colour = kindColours[kind];
  const dashed = kind === "detections" || kind === "changes";
  return [
    {
      ...common,
      id: `${kind}-fill`,
      type: "fill",
      filter: ["==", "$type", "Polygon"],
      paint: { "fill-color": colour, "fill-opacity": kind === "photos" ? 0.03 : 0.05 },
    },
    {
      ...common,
      id: `${kind}-line`,
      type: "line",
      filter: ["==", "$type", "Polygon"],
      paint: {
        "line-color": colour,
        "line-width": kind === "photos" ? 1 : 1.75,
        "line-opacity": kind === "photos" ? 0.55 : 0.9,
        ...(dashed ? { "line-dasharray": [3, 2] } : {}),
      },
    },
    {
      ...common,
      id: `${kind}-point`,
      type: "circle",
      filter: ["==", "$type", "Point"],
      paint: {
        "circle-radius": 3.5,
        "circle-color": "#ffffff",
        "circle-stroke-color": colour,
        "circle-stroke-width": 1.75,
      },
    },
  ];
}

/** Footprints from the widest to the smallest, so that a photo can be clicked inside its flight. */
export const footprintKinds = ["flights", "orthophotos", "detections", "changes", "photos"];

export const style = {
  version: 8,
  sources: {
    graticule: geojson(),
    ...Object.fromEntries(footprintKinds.map((kind) => [kind, geojson()])),
    "event-shapes": geojson(),
    events: geojson(),
  },
  layers: [
    { id: "background", type: "background", paint: { "background-color": "#eef1ee" } },
    { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#c9d1cd", "line-width": 1 } },
    ...footprintKinds.flatMap(footprintLayers),
    {
      id: "event-fill",
      type: "fill",
      source: "event-shapes",
      paint: { "fill-color": byState, "fill-opacity": 0.3 },
    },
    {
      id: "event-line",
      type: "line",
      source: "event-shapes",
      paint: { "line-color": byState, "line-width": 2 },
    },
    {
      id: "event-ring",
      type: "circle",
      source: "events",
      filter: selected(""),
      paint: {
        "circle-radius": 19,
        "circle-opacity": 0,
        "circle-stroke-color": "#14242c",
        "circle-stroke-width": 2,
      },
    },
    {
      id: "event-halo",
      type: "circle",
      source: "events",
      filter: selected(""),
      paint: {
        "circle-radius": 17,
        "circle-opacity": 0,
        "circle-stroke-color": "#ffffff",
        "circle-stroke-width": 3.5,
      },
    },
    {
      id: "event-point",
      type: "circle",
      source: "events",
      paint: {
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 16, 7.5, 20, 5],
        "circle-color": byState,
        "circle-stroke-color": "#ffffff",
        "circle-stroke-width": 2,
      },
    },
  ],
};

export const selectedFilter = selected;
