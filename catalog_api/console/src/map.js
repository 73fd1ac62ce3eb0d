// The map: what it is given to show, and what a person points at on it.

import { LngLatBounds, Map as MapLibre, NavigationControl, ScaleControl, setWorkerUrl } from "maplibre-gl";

import { followView } from "./graticule.js";
import { abovePreview, footprintKinds, selected, styleWith } from "./layers.js";

const POINTING_ERROR = 12; // CSS pixels around a click in which an event counts as meant: a fingertip's worth

const feature = (geometry, properties) => ({ type: "Feature", geometry, properties });
const collection = (features) => ({ type: "FeatureCollection", features });

/** The [west, south, east, north] of GeoJSON geometries, or null where there is none. */
export function boundsOf(geometries) {
  const bounds = new LngLatBounds();
  const extend = (coordinates) =>
    typeof coordinates[0] === "number" ? bounds.extend(coordinates.slice(0, 2)) : coordinates.forEach(extend);
  for (const geometry of geometries) {
    if (geometry?.type === "GeometryCollection") geometry.geometries.forEach((part) => extend(part.coordinates));
    else if (geometry?.coordinates) extend(geometry.coordinates);
  }
  return bounds.isEmpty() ? null : bounds.toArray().flat();
}

/**
 * Draws the map in `container`, its degree labels in `labels`. Throws where the browser has no WebGL 2.
 * `onEvent(id)`: an event was clicked. `onFootprints(kind and id of each, place)`: the ground elsewhere was.
 */
export async function openMap({ container, labels, workerUrl, locale, onEvent, onFootprints }) {
  setWorkerUrl(workerUrl);
  const colours = getComputedStyle(document.documentElement);
  const map = new MapLibre({
    container,
    style: styleWith((name) => colours.getPropertyValue(`--${name}`).trim()),
    locale,
    center: [105, 35],
    zoom: 3,
    maxZoom: 23,
    maxPitch: 0,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    attributionControl: false,
    renderWorldCopies: false,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl({ maxWidth: 120, unit: "metric" }), "bottom-left");
  map.on("movestart", () => container.setAttribute("aria-busy", "true"));
  map.on("idle", () => container.setAttribute("aria-busy", "false"));
  await map.once("load");
  followView(map, labels);

  const eventAt = ({ x, y }) => {
    const near = [
      [x - POINTING_ERROR, y - POINTING_ERROR],
      [x + POINTING_ERROR, y + POINTING_ERROR],
    ];
    return map.queryRenderedFeatures(near, { layers: ["event-point", "event-fill"] })[0]?.properties.id;
  };
  map.on("click", ({ point, lngLat }) => {
    const id = eventAt(point);
    if (id !== undefined) return onEvent(id);
    const layers = footprintKinds.flatMap((kind) => [`${kind}-fill`, `${kind}-point`]);
    const under = map.queryRenderedFeatures(point, { layers }).map(({ source, properties }) => [source, properties.id]);
    return onFootprints([...new Map(under.map((pair) => [pair.join("/"), pair])).values()], lngLat);
  });
  map.on("mousemove", ({ point }) => {
    map.getCanvas().style.cursor = eventAt(point) === undefined ? "" : "pointer";
  });

  return {
    showEvents(events) {
      const placed = events.filter(({ lon, lat }) => Number.isFinite(lon) && Number.isFinite(lat));
      const properties = ({ id, state }) => ({ id, state });
      map.getSource("events").setData(
        collection(placed.map((e) => feature({ type: "Point", coordinates: [e.lon, e.lat] }, properties(e)))),
      );
      const shaped = placed.filter(({ geometry }) => /Polygon$/.test(geometry?.type ?? ""));
      map.getSource("event-shapes").setData(collection(shaped.map((e) => feature(e.geometry, properties(e)))));
    },

    showFootprints(kind, items) {
      const placed = items.filter(({ geometry }) => geometry);
      map.getSource(kind).setData(collection(placed.map(({ id, geometry }) => feature(geometry, { id }))));
    },

    setVisible(kind, visible) {
      for (const part of ["fill", "line", "point"]) {
        map.setLayoutProperty(`${kind}-${part}`, "visibility", visible ? "visible" : "none");
      }
    },

    /** Lays an orthophoto's picture under the footprints, instead of the one before; null takes it away. */
    showPreview(preview) {
      if (map.getLayer("preview")) map.removeLayer("preview");
      if (map.getSource("preview")) map.removeSource("preview");
      if (!preview) return;
      const { tiles, url, corners } = preview;
      map.addSource(
        "preview",
        tiles
          ? { type: "raster", tiles: [tiles.url], bounds: tiles.bounds, tileSize: 256, minzoom: 12, maxzoom: 23 }
          : { type: "image", url, coordinates: corners },
      );
      const paint = { "raster-fade-duration": 0 };
      map.addLayer({ id: "preview", type: "raster", source: "preview", paint }, abovePreview);
    },

    select(id) {
      for (const layer of ["event-ring", "event-halo"]) map.setFilter(layer, selected(id ?? ""));
    },

    /** Marks a clicked place; null takes the mark away. */
    markPlace(place) {
      const points = place ? [feature({ type: "Point", coordinates: place.toArray() }, {})] : [];
      map.getSource("place").setData(collection(points));
    },

    flyTo(lon, lat) {
      if (!Number.isFinite(lon) || !Number.isFinite(lat)) return;
      map.flyTo({ center: [lon, lat], zoom: Math.max(map.getZoom(), 19.5), maxDuration: 1500 });
    },

    fit(bounds, { animate = true } = {}) {
      if (bounds) map.fitBounds(bounds, { padding: 56, maxZoom: 20, animate, maxDuration: 1500 });
    },
  };
}
