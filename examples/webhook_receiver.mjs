// A receiver of Zof webhooks in Node: PORT=8000 node webhook_receiver.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const seen = new Set();
createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const expected = Buffer.from(createHmac("sha256", process.env.ZOF_WEBHOOK_SECRET).update(body).digest("hex"));
  const given = Buffer.from(request.headers["x-zof-signature"] ?? "");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return response.writeHead(401).end();
  const event = JSON.parse(body);
  if (!seen.has(event.id)) console.log(event.type, event.data.object.id);
  seen.add(event.id);
  response.writeHead(204).end();
}).listen(process.env.PORT, "127.0.0.1");
