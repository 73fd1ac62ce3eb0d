// An orthophoto on the map: its tiles, or where its thumbnail belongs on the ground. A preview in the wrong place is worse than none, so corners are
// only taken where they agree with the raster's own size. Pure.

import { ownPath } from "./api.js";

const METRES_PER_DEGREE = 111_320;
const TOLERANCE = 0.03;

/** Width and height in metres of a frame given by its corners (north-west, north-east, south-east, south-west). */
function size(corners) {
  const scale = Math.cos((corners[0][1] * Math.PI) / 180);
  const side = ([x1, y1], [x2, y2]) => Math.hypot((x2 - x1) * scale, y2 - y1) * METRES_PER_DEGREE;
  return [side(corners[0], corners[1]), side(corners[1], corners[2])];
}

/** The corners of a ring that has four, from the north-west clockwise, or null. */
function quadrilateral(geometry) {
  const ring = geometry?.type === "Polygon" && geometry.coordinates.length === 1 ? geometry.coordinates[0] : [];
  if (ring.length !== 5) return null;
  const points = ring.slice(0, 4).map(([x, y]) => [x, y]);
  const north = [...points].sort((a, b) => b[1] - a[1]);
  const [nw, ne] = north.slice(0, 2).sort((a, b) => a[0] - b[0]);
  const [sw, se] = north.slice(2).sort((a, b) => a[0] - b[0]);
  return [nw, ne, se, sw];
}

const box = ([west, south, east, north]) => [[west, north], [east, north], [east, south], [west, south]];

/**
 * The corners of an item's raster in degrees, north-west first and clockwise, or null where the item does not tell them:
 * its footprint (or its bbox) must have the size of `proj:shape` × `gsd`, within 3 %.
 */
export function corners(item) {
  const { "proj:shape": shape, gsd } = item.properties ?? {};
  if (!Array.isArray(shape) || !(gsd > 0)) return null;
  const expected = [shape[1] * gsd, shape[0] * gsd];
  const frames = [quadrilateral(item.geometry), item.bbox?.length === 4 ? box(item.bbox) : null];
  return (
    frames.find((frame) => frame && size(frame).every((side, i) => Math.abs(side / expected[i] - 1) < TOLERANCE)) ?? null
  );
}

/** The address of an item's small picture on this server, or null. */
export function picture(item) {
  const assets = Object.entries(item.assets ?? {});
  const found =
    assets.find(([key]) => key === "thumbnail") ??
    assets.find(([, asset]) => asset.roles?.includes("thumbnail")) ??
    assets.find(([, asset]) => asset.roles?.includes("overview") && /image\/(jpeg|png|webp)/.test(asset.type ?? ""));
  return found ? ownPath(found[1].href) : null;
}

/** Where an item's map tiles are and what they cover, or null where it has no cloud-optimized raster. */
export function tiles(item) {
  const key = ["cog", "original"].find((name) => item.assets?.[name]?.type?.includes("profile=cloud-optimized"));
  if (!key || item.bbox?.length !== 4) return null;
  const path = ["collections", item.collection, "items", item.id, "assets", key].map(encodeURIComponent).join("/");
  return { url: `${location.origin}/tiles/${path}/tiles/WebMercatorQuad/{z}/{x}/{y}.png`, bounds: item.bbox };
}

/** The orthophotos that can be laid on the map, newest first as the server sent them: by tiles, else by one picture. */
export function previews(orthophotos) {
  return orthophotos
    .map((item) => ({
      id: item.id,
      datetime: item.properties?.datetime,
      flight: item.properties?.["flyonce:flight"],
      tiles: tiles(item),
      url: picture(item),
      corners: corners(item),
    }))
    .filter(({ tiles: layer, url, corners: frame }) => layer || (url && frame));
}
