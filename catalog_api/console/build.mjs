// Bundles the console into static/assets: the page's code, MapLibre's worker and style sheet, and the licences of
// everything bundled. `npm run build`; asks nothing of the network.

import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "static", "assets");
const maplibre = join(here, "node_modules", "maplibre-gl", "dist");

/** The licence texts of what the lock installs for the page (not for the build), one after another. */
async function licences() {
  const lock = JSON.parse(await readFile(join(here, "package-lock.json"), "utf8"));
  const texts = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === "" || entry.dev || entry.optional) continue;
    const folder = join(here, path);
    const names = await readdir(folder);
    const read = async (pattern) => {
      const file = names.find((name) => pattern.test(name));
      return file ? readFile(join(folder, file), "utf8") : "";
    };
    // Some packages keep their licence at the end of their README.
    const text = (await read(/^licen[cs]e/i)) || (await read(/^readme/i)).replace(/^[^]*?(?=^#+ *licen[cs]e)/im, "");
    texts.push(`${path.replace(/^.*node_modules\//, "")} ${entry.version} (${entry.license})\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

await rm(assets, { recursive: true, force: true });
await mkdir(assets, { recursive: true });
await build({
  entryPoints: [join(here, "src", "main.js")],
  outfile: join(assets, "console.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none", // all of them stand in licences.txt
  logLevel: "warning",
});
// The worker is a file of its own, so that the page's policy can say worker-src 'self'. It ends in .js, not .mjs, because
// every server knows that type.
await copyFile(join(maplibre, "maplibre-gl-worker.mjs"), join(assets, "maplibre-gl-worker.js"));
await copyFile(join(maplibre, "maplibre-gl.css"), join(assets, "maplibre-gl.css"));
await writeFile(join(assets, "licences.txt"), await licences());
