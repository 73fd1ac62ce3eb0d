// The map's only backdrop: meridians and parallels, with their labels as page elements at the map's edge, because text
// inside a MapLibre map needs a glyph server. The arithmetic is pure.

import { h } from "./dom.js";

const STEPS = [1, 2, 5];
const CLEAR = 24; // pixels kept free of parallels' labels: the meridians' at the top, twice that for the scale bar below

/** The finest step of 1, 2, 5 × 10ⁿ degrees that leaves at most `lines` lines in `span` degrees; never above 45. */
export function step(span, lines) {
  for (let power = -6; ; power++) {
    for (const s of STEPS) {
      const degrees = s * 10 ** power;
      if (span / degrees <= lines || degrees >= 20) return degrees >= 20 ? 20 : degrees;
    }
  }
}

/** The multiples of `by` in [from, to], counted in whole steps so that no rounding piles up. */
export function multiples(from, to, by) {
  const first = Math.ceil(from / by - 1e-9);
  const last = Math.floor(to / by + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * by);
}

/** Degrees with as many decimals as the step needs, and the hemisphere's letter. */
export function label(degrees, by, [positive, negative]) {
  const decimals = Math.max(0, -Math.floor(Math.log10(by) + 1e-9));
  const value = ((((degrees + 180) % 360) + 360) % 360) - 180;
  const shown = positive === "N" ? degrees : value;
  const rounded = Math.abs(shown).toFixed(decimals);
  return `${rounded}°${Number(rounded) === 0 ? "" : shown < 0 ? negative : positive}`;
}

/** Lines of the graticule over [west, south, east, north] degrees, and where they stand. */
export function graticule([west, south, east, north], columns, rows) {
  const byLon = step(east - west, columns);
  const byLat = step(north - south, rows);
  const lons = multiples(west, east, byLon);
  const lats = multiples(Math.max(south, -85), Math.min(north, 85), byLat);
  const lines = [
    ...lons.map((lon) => [[lon, Math.max(south, -85)], [lon, Math.min(north, 85)]]),
    ...lats.map((lat) => [[west, lat], [east, lat]]),
  ];
  return {
    lines: { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } },
    lons: lons.map((lon) => ({ lon, text: label(lon, byLon, ["E", "W"]) })),
    lats: lats.map((lat) => ({ lat, text: label(lat, byLat, ["N", "S"]) })),
  };
}

/** Keeps the source `graticule` of the map and the labels over it in step with what is in view. */
export function followView(map, layer) {
  const draw = () => {
    const { clientWidth: width, clientHeight: height } = map.getContainer();
    const bounds = map.getBounds();
    const view = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
    const { lines, lons, lats } = graticule(view, Math.max(2, width / 150), Math.max(2, height / 130));
    map.getSource("graticule")?.setData(lines);
    const place = (text, left, top, edge) => {
      const element = h("span", { class: `degree ${edge}` }, text);
      element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
      return element;
    };
    const heights = lats.map(({ lat, text }) => ({ text, y: map.project([bounds.getWest(), lat]).y }));
    layer.replaceChildren(
      ...lons.map(({ lon, text }) => place(text, map.project([lon, bounds.getNorth()]).x, 0, "by-lon")),
      ...heights.filter(({ y }) => y > CLEAR && y < height - 2 * CLEAR).map(({ y, text }) => place(text, 0, y, "by-lat")),
    );
  };
  map.on("move", draw);
  map.on("resize", draw);
  draw();
}
