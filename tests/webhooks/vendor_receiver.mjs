// A receiver around the function that the vendor publishes (zof.ai/docs/examples/webhook-signature-verify), re-typed.
import crypto from "crypto";
import http from "http";

function verifyZofSignature(rawBody, signature, secret) {
  const expected = crypto.createHmac("sha256", secret).update(rawBody).digest("hex");
  return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}

const seen = new Set();
const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const rawBody = Buffer.concat(chunks);
    if (!verifyZofSignature(rawBody, request.headers["x-zof-signature"], process.env.ZOF_WEBHOOK_SECRET)) {
      response.writeHead(401).end();
      return;
    }
    const event = JSON.parse(rawBody);
    if (!seen.has(event.id)) console.log(event.type, event.data.object.id);
    seen.add(event.id);
    response.writeHead(204).end();
  });
});
server.listen(process.env.PORT, "127.0.0.1");
