// How the map looks: a style without tiles, sprites, or glyphs, so that it needs nothing but this server. The colours
// that mean something stand in styles.css, where the list takes them from too.

import { states } from "./words.js";

/** Footprints from the widest to the smallest, so that a photo can be clicked inside its flight. */
export const footprintKinds = ["flights", "orthophotos", "detections", "changes", "photos"];

const nothing = { type: "FeatureCollection", features: [] };
const geojson = (data = nothing) => ({ type: "geojson", data });

/** The filter of the layers that mark one event. */
export const selected = (id) => ["==", ["get", "id"], id];

/** Faint, and under an orthophoto's preview: there they are only to be clicked. */
const footprintFill = (kind, colour) => ({
  id: `${kind}-fill`,
  type: "fill",
  source: kind,
  filter: ["==", "$type", "Polygon"],
  paint: { "fill-color": colour, "fill-opacity": kind === "photos" ? 0 : 0.05 }, // photos overlap, and would add up
});

function footprintOutlines(kind, colour) {
  const dashed = kind === "detections" || kind === "changes";
  return [
    {
      id: `${kind}-line`,
      type: "line",
      source: kind,
      filter: ["==", "$type", "Polygon"],
      paint: {
        "line-color": colour,
        "line-width": kind === "photos" ? 1 : 1.75,
        "line-opacity": kind === "photos" ? 0.55 : 0.9,
        ...(dashed ? { "line-dasharray": [3, 2] } : {}),
      },
    },
    {
      id: `${kind}-point`,
      type: "circle",
      source: kind,
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

/** The layer that an orthophoto's preview goes under. */
export const abovePreview = `${footprintKinds[0]}-line`;

/** The style; `colour(name)` is the colour of a tone or of a kind of footprint. */
export function styleWith(colour) {
  const byState = [
    "match",
    ["get", "state"],
    ...Object.entries(states).flatMap(([name, { tone }]) => [name, colour(tone)]),
    colour("dropped"),
  ];
  return {
    version: 8,
    sources: {
      graticule: geojson(),
      ...Object.fromEntries(footprintKinds.map((kind) => [kind, geojson()])),
      place: geojson(),
      "event-shapes": geojson(),
      events: geojson(),
    },
    layers: [
      { id: "background", type: "background", paint: { "background-color": "#eef1ee" } },
      { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#c9d1cd", "line-width": 1 } },
      ...footprintKinds.map((kind) => footprintFill(kind, colour(kind))),
      ...footprintKinds.flatMap((kind) => footprintOutlines(kind, colour(kind))),
      {
        id: "place",
        type: "circle",
        source: "place",
        paint: {
          "circle-radius": 4,
          "circle-color": "#14242c",
          "circle-stroke-color": "#ffffff",
          "circle-stroke-width": 2,
        },
      },
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
}
