// A receiver of Zof webhooks in Node: PORT=8000 node webhook_receiver.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

const seen = new Set();
createServer(async (request, response) => {
  const body = await buffer(request);
  const expected = Buffer.from(createHmac("sha256", process.env.ZOF_WEBHOOK_SECRET).update(body).digest("hex"));
  const given = Buffer.from(request.headers["x-zof-signature"] ?? "");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return response.writeHead(401).end();
  const event = JSON.parse(body);
  if (!seen.has(event.id) && seen.add(event.id)) console.log(event.type, event.data.object.id);
  response.writeHead(204).end();
}).listen(process.env.PORT, "127.0.0.1");
