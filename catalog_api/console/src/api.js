// What the page reads from its own server, and from no other.

const PAGE = 200;

/** The server said no, or something that is not an answer. `status` is 0 when it did not answer at all. */
export class ApiError extends Error {
  constructor(path, status, detail) {
    super([path, status || "no answer", detail].filter(Boolean).join(": "));
    this.status = status;
  }
}

/** Why the server refused, in its own words where it gives them (problem+json, RFC 9457). */
async function reason(response) {
  try {
    const { detail, title } = await response.json();
    return detail ?? title ?? response.statusText;
  } catch (error) {
    if (error instanceof SyntaxError) return response.statusText;
    throw error;
  }
}

/**
 * An address from a server's answer as path and query on this page's own origin, or null where it is not http.
 * A proxy may call the server by another name than it knows itself by; this also keeps every request at home.
 */
export function ownPath(href) {
  if (typeof href !== "string" || !URL.canParse(href, location.origin)) return null;
  const url = new URL(href, location.origin);
  return url.protocol === "http:" || url.protocol === "https:" ? url.pathname + url.search : null;
}

async function getJson(path) {
  let response;
  try {
    response = await fetch(path, { headers: { accept: "application/geo+json, application/json" } });
  } catch (error) {
    throw new ApiError(path, 0, error instanceof Error ? error.message : "");
  }
  if (!response.ok) throw new ApiError(path, response.status, await reason(response));
  try {
    return await response.json();
  } catch (error) {
    throw new ApiError(path, response.status, error instanceof Error ? error.message : "");
  }
}

/** The newest `limit` items of one collection, following the server's pages. `more` tells that there are others. */
export async function items(collection, limit) {
  const query = new URLSearchParams({ collections: collection, limit: String(PAGE), sortby: "-datetime" });
  const found = [];
  let path = `/stac/search?${query}`;
  while (path && found.length < limit) {
    const page = await getJson(path);
    found.push(...page.features);
    const next = (page.links ?? []).find((link) => link.rel === "next" && (link.method ?? "GET") === "GET");
    path = next ? ownPath(next.href) : null;
  }
  return { items: found.slice(0, limit), more: path !== null || found.length > limit };
}

/** Events in every state, as many as the server gives at once. */
export const events = async () => (await getJson("/api/events?limit=10000")).events;

/** How many there are in all: `{items: {collection: n}, events: {state: n}}`. */
export const stats = () => getJson("/api/stats");
