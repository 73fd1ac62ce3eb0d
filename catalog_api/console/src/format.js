// Numbers, times and places as people read them. Pure.

const missing = (value) => typeof value !== "number" || !Number.isFinite(value);

/** Square metres: one decimal below 100, hectares from 10,000. */
export function area(squareMetres) {
  if (missing(squareMetres)) return null;
  if (squareMetres >= 10_000) return `${(squareMetres / 10_000).toFixed(2)} ha`;
  return `${squareMetres.toFixed(squareMetres < 100 ? 1 : 0)} m²`;
}

/** A score in 0..1 with two decimals. */
export const score = (value) => (missing(value) ? null : value.toFixed(2));

/** Metres, finer than a metre in centimetres. */
export function metres(value) {
  if (missing(value)) return null;
  return value < 1 ? `${(value * 100).toFixed(1)} cm` : `${value.toFixed(1)} m`;
}

/** Latitude, longitude to 1e-6 degrees (0.1 m), with the hemisphere's letter. */
export function place(lon, lat) {
  if (missing(lon) || missing(lat)) return null;
  return `${Math.abs(lat).toFixed(6)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(6)}° ${lon < 0 ? "W" : "E"}`;
}

const two = (n) => String(n).padStart(2, "0");

/** Local date and time to the minute; null for what is not a time. */
export function minute(iso) {
  const date = new Date(iso ?? NaN);
  if (Number.isNaN(date.getTime())) return null;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The same with the zone's offset from UTC. */
export function time(iso) {
  const local = minute(iso);
  if (local === null) return null;
  const minutes = -new Date(iso).getTimezoneOffset();
  const rest = Math.abs(minutes) % 60;
  const offset = `${minutes < 0 ? "−" : "+"}${Math.trunc(Math.abs(minutes) / 60)}${rest ? `:${two(rest)}` : ""}`;
  return `${local} (UTC${offset})`;
}
