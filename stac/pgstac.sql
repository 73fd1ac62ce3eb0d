-- What flyonce adds to a database of pgstac: functions under the names that `stac.dialect` expects, the ground that each
-- collection's items cover. pgstac's own schema is left as it is, so that its other tools work on it too.
-- Run as a whole, with the indexes of `stac.pgstac_schema` after it; again whenever either changes.

CREATE SCHEMA IF NOT EXISTS flyonce;
GRANT USAGE ON SCHEMA flyonce TO pgstac_admin, pgstac_read;  -- the former owns the items, and so their indexes

CREATE OR REPLACE FUNCTION flyonce.number_at(properties jsonb, path text[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(properties #> path) WHEN 'number' THEN (properties #>> path)::double precision END
$$;

CREATE OR REPLACE FUNCTION flyonce.text_at(properties jsonb, path text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(properties #> path) WHEN 'string' THEN properties #>> path END
$$;

CREATE OR REPLACE FUNCTION flyonce.boolean_at(properties jsonb, path text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(properties #> path) WHEN 'boolean' THEN (properties #>> path)::boolean END
$$;

CREATE OR REPLACE FUNCTION flyonce.array_at(properties jsonb, path text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(properties #> path) WHEN 'array' THEN properties #> path END
$$;

-- The words that SQLite's json_type has for it; whether a number is whole nobody asks.
CREATE OR REPLACE FUNCTION flyonce.kind_at(properties jsonb, path text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(properties #> path)
    WHEN 'number' THEN 'real' WHEN 'string' THEN 'text' WHEN 'boolean' THEN properties #>> path
    ELSE jsonb_typeof(properties #> path) END
$$;

-- Sorting: numbers (a boolean is 0 or 1) by their size, and whatever else there is by its text.
CREATE OR REPLACE FUNCTION flyonce.rank_at(properties jsonb, path text[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(properties #> path)
    WHEN 'number' THEN (properties #>> path)::double precision
    WHEN 'boolean' THEN (properties #>> path)::boolean::int::double precision END
$$;

CREATE OR REPLACE FUNCTION flyonce.wording_at(properties jsonb, path text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN jsonb_typeof(properties #> path) IN ('string', 'array', 'object') THEN properties #>> path ELSE '' END
$$;

-- Less, equal, greater: -1, 0, 1; NULL for values of different types, and for those that have no order.
CREATE OR REPLACE FUNCTION flyonce.compare(a jsonb, b jsonb) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN jsonb_typeof(a) <> jsonb_typeof(b) THEN NULL ELSE CASE jsonb_typeof(a)
    WHEN 'number' THEN sign((a #>> '{}')::double precision - (b #>> '{}')::double precision)::int
    WHEN 'boolean' THEN (a #>> '{}')::boolean::int - (b #>> '{}')::boolean::int
    WHEN 'string' THEN ((a #>> '{}') COLLATE "C" > (b #>> '{}') COLLATE "C")::int
                     - ((a #>> '{}') COLLATE "C" < (b #>> '{}') COLLATE "C")::int
    END END
$$;

-- PostGIS tells the planner a cost of ST_Intersects a hundred times that of a footprint and a box, which then reads an
-- index of half of the catalogue to save itself a few hundred of them.
CREATE OR REPLACE FUNCTION flyonce.meets(a geometry, b geometry) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 40 AS $$
BEGIN
  RETURN ST_Intersects(a, b);
END
$$;

CREATE OR REPLACE FUNCTION flyonce.micros(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (extract(epoch FROM moment - timestamptz '1970-01-01T00:00:00Z') * 1000000)::bigint
$$;

-- Microseconds since 1970 of an RFC 3339 date-time, or NULL for any other text. Digits beyond microseconds are dropped.
CREATE OR REPLACE FUNCTION flyonce.instant(said text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  part text[] := regexp_match(said, '^((?!0000)\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]'
    || '((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d+)?([Zz]|[+-](?:0\d|1[0-5]):[0-5]\d)$');
  days int;
BEGIN
  IF part IS NULL THEN RETURN NULL; END IF;
  days := extract(day FROM make_date(part[1]::int, part[2]::int, 1) + interval '1 month' - interval '1 day');
  IF part[3]::int > days THEN RETURN NULL; END IF;
  RETURN flyonce.micros(concat(
    part[1], '-', part[2], '-', part[3], 'T', part[4], left(part[5], 7), upper(part[6]))::timestamptz);
END
$$;

-- The instant that an item is filed under.
CREATE OR REPLACE FUNCTION flyonce.moment(content jsonb) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  RETURN flyonce.instant(coalesce(content #>> '{properties,datetime}', content #>> '{properties,start_datetime}'));
END
$$;

CREATE OR REPLACE FUNCTION flyonce.casei(said text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- Case folding beyond small letters: what German and Greek have two of.
  SELECT replace(replace(lower(said COLLATE "und-x-icu"), 'ß', 'ss'), 'ς', 'σ') COLLATE "C"
$$;

CREATE OR REPLACE FUNCTION flyonce.accenti(said text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT regexp_replace(
    normalize(said, NFD), '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]', '', 'g') COLLATE "C"
$$;

CREATE OR REPLACE FUNCTION flyonce.folded(said text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT flyonce.casei(flyonce.accenti(said)) $$;

-- What free text is looked for in: id, title, description, keywords.
CREATE OR REPLACE FUNCTION flyonce.words_of(id text, content jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT flyonce.folded(concat_ws(E'\n', id, flyonce.text_at(content, '{properties,title}'),
    flyonce.text_at(content, '{properties,description}'),
    (SELECT string_agg(word #>> '{}', E'\n')
     FROM jsonb_array_elements(flyonce.array_at(content, '{properties,keywords}')) AS word
     WHERE jsonb_typeof(word) = 'string')))
$$;

-- SHA-256 of an item's assets in the store.
CREATE OR REPLACE FUNCTION flyonce.files_of(content jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(DISTINCT found), '{}') FROM (
    SELECT substring(asset.value ->> 'href' FROM '^/assets/([0-9a-f]{64})/[^/\\]+$') AS found
    FROM jsonb_each(content -> 'assets') AS asset
  ) AS hrefs WHERE found IS NOT NULL
$$;

-- pgstac wants a geometry of every item; one without is kept with an empty one.
CREATE OR REPLACE FUNCTION flyonce.s_missing(ground geometry) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT ST_IsEmpty(ground) $$;

DO $do$
DECLARE
  pair text[];
BEGIN
  FOREACH pair SLICE 1 IN ARRAY ARRAY[
    ['s_contains', 'ST_Contains'], ['s_crosses', 'ST_Crosses'], ['s_disjoint', 'ST_Disjoint'],
    ['s_equals', 'ST_Equals'], ['s_intersects', 'ST_Intersects'], ['s_overlaps', 'ST_Overlaps'],
    ['s_touches', 'ST_Touches'], ['s_within', 'ST_Within']]
  LOOP
    EXECUTE format($sql$
      CREATE OR REPLACE FUNCTION flyonce.%I(ground geometry, asked bytea) RETURNS boolean
      LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
      'SELECT CASE WHEN NOT ST_IsEmpty(ground) THEN %s(ground, ST_GeomFromWKB(asked, 4326)) END'
    $sql$, pair[1], pair[2]);
  END LOOP;
END
$do$;

-- Arrays are compared as sets.
CREATE OR REPLACE FUNCTION flyonce.a_contains(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT NOT EXISTS (SELECT value FROM jsonb_array_elements(b) EXCEPT SELECT value FROM jsonb_array_elements(a))
$$;

CREATE OR REPLACE FUNCTION flyonce.a_containedby(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT flyonce.a_contains(b, a) $$;

CREATE OR REPLACE FUNCTION flyonce.a_equals(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT flyonce.a_contains(a, b) AND flyonce.a_contains(b, a) $$;

CREATE OR REPLACE FUNCTION flyonce.a_overlaps(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT EXISTS (SELECT value FROM jsonb_array_elements(a) INTERSECT SELECT value FROM jsonb_array_elements(b))
$$;

-- What flyonce computed when it put the item is kept in `private`, which pgstac leaves to whoever wants it; an item that
-- another tool put has none, and is read instead.
CREATE OR REPLACE FUNCTION flyonce.moment(content jsonb, private jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce((private ->> 'moment')::bigint, flyonce.moment(content))
$$;

CREATE OR REPLACE FUNCTION flyonce.words_of(id text, content jsonb, private jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT coalesce(private ->> 'words', flyonce.words_of(id, content)) $$;

CREATE OR REPLACE FUNCTION flyonce.files_of(content jsonb, private jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(private -> 'files', to_jsonb(flyonce.files_of(content)))
$$;

-- The whole item. Those that flyonce put are kept whole; another tool's lack what their collection says of all items.
CREATE OR REPLACE FUNCTION flyonce.whole(item pgstac.items) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN item.private IS NULL THEN pgstac.content_hydrate(item) ELSE item.content || jsonb_build_object(
    'type', 'Feature', 'id', item.id, 'collection', item.collection,
    'geometry', ST_AsGeoJSON(item.geometry, 20)::jsonb) END::text
$$;

-- What the items of a collection cover, as the embedded catalogue keeps it: it widens, and never shrinks.
CREATE TABLE IF NOT EXISTS flyonce.covered (
  collection text PRIMARY KEY REFERENCES pgstac.collections (id) ON DELETE CASCADE,
  west double precision, south double precision, east double precision, north double precision,
  start_us bigint, end_us bigint
);

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
