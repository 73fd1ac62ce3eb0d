// Sends a file as a browser's or Node's tus client does. Arguments: the endpoint, the file, options as JSON.
// `abortAfter`: break off when so many bytes are acknowledged, and go on from the upload's address.
import fs from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, path, json] = process.argv.slice(2);
const { abortAfter = 0, ...options } = JSON.parse(json);

function send(extra, onProgress = () => {}) {
  return new Promise((resolve, reject) => {
    const upload = new Upload(fs.createReadStream(path), {
      endpoint,
      retryDelays: [0, 200, 500, 1000],
      ...options,
      ...extra,
      onError: reject,
      onSuccess: () => resolve(upload.url),
      onChunkComplete: (_size, accepted) => onProgress(accepted, upload, resolve),
    });
    upload.start();
  });
}

let url = await send({}, (accepted, upload, resolve) => {
  if (abortAfter && accepted >= abortAfter) upload.abort().then(() => resolve(upload.url));
});
if (abortAfter) url = await send({ uploadUrl: url });
console.log(url);
