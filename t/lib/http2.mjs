// An HTTP/2 client for a test, which sends pseudo-headers as it is told: a line
// of JSON on standard input is a request, [[name, value], …]; a line on standard
// output is its status, or 0 if the stream was reset.
//
//	node http2.mjs URL CA

import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { createInterface } from "node:readline";

const [url, ca] = process.argv.slice(2);
let session = null;

function open() {
	session = connect(url, { ca: readFileSync(ca) });
	session.on("error", () => {});
	session.on("close", () => { session = null; });
}

function send(headers) {
	return new Promise((resolve) => {
		if (!session || session.closed || session.destroyed)
			open();
		let stream;
		try {
			stream = session.request(Object.fromEntries(headers));
		} catch {
			resolve("unsendable");
			return;
		}
		let status = 0;
		stream.on("response", (answer) => { status = answer[":status"]; });
		stream.on("error", () => {});
		stream.on("close", () => resolve(status));
		stream.resume();
		stream.end();
	});
}

for await (const line of createInterface({ input: process.stdin }))
	console.log(await send(JSON.parse(line)));
session?.destroy();
