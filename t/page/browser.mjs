// What the scripts of the page share: Chromium, people in it, facts.
//
// A script prints its facts as "ok - …" and "not ok - …" on standard output. It has
// the stack changed by "do: …", which t/page.t answers with a line on standard
// input.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { isDeepStrictEqual } from "node:util";

const tools = createRequire(new URL("../tools/package.json", import.meta.url));
const { chromium } = tools("playwright-core");

export const url = process.env.STAGING_URL.replace(/\/*$/, "/");
export const axeSource = readFileSync(tools.resolve("axe-core/axe.min.js"), "utf8");
export const PASSWORD = "correct horse battery";
const PATIENCE_MS = 60_000;

// ---- facts ----

const say = (line) => process.stdout.write(line.replace(/\n/g, "\n# ") + "\n");

export function ok(fact, name, ...why) {
	say(`${fact ? "ok" : "not ok"} - ${name}`);
	if (!fact)
		for (const line of why)
			say(`# ${typeof line === "string" ? line : JSON.stringify(line)}`);
	return !!fact;
}

export const is = (got, want, name) =>
	ok(isDeepStrictEqual(got, want), name, { got }, { want });

// A fact that becomes true: asks again until it is, or until PATIENCE_MS are over.
export async function becomes(ask, want, name) {
	let got;
	const there = await until(async () =>
		isDeepStrictEqual(got = await ask(), want));
	return ok(there, name, { got }, { want });
}

// Waits until `ask` gives true. Returns false after PATIENCE_MS.
export async function until(ask) {
	for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
		if (await ask())
			return true;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	return false;
}

// ---- the stack ----

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export async function stack(what) {
	say(`do: ${what}`);
	const { value } = await answers.next();
	if (value !== "done")
		throw new Error(`${what}: ${value}`);
}

// ---- the browser ----

// The server's key, from a connection that the stage's certificate authority
// confirms: the browser is told to trust this key.
function serverKey() {
	const { hostname, port } = new URL(url);
	return new Promise((resolve, reject) => {
		const socket = connect({ host: hostname, port: port || 443,
			servername: isIP(hostname) ? "" : hostname,
			ca: readFileSync(process.env.STAGING_CA),
		}, () => {
			const key = socket.getPeerX509Certificate().publicKey
				.export({ type: "spki", format: "der" });
			socket.destroy();
			resolve(createHash("sha256").update(key).digest("base64"));
		});
		socket.on("error", reject);
	});
}

let browser;
let contexts;
let complaints;
let forgiven;
let accepted;

// The claims of a token, or of the token that a request carries.
export const claims = (token) => JSON.parse(Buffer.from(
	token.split(".")[1], "base64url"));
export function bearer(request) {
	const { authorization } = request.headers();
	return authorization ? claims(authorization) : null;
}

// A browser of one person: its cookies, and any number of tabs.
export async function person(options = {}) {
	const context = await browser.newContext({
		viewport: { width: 1000, height: 720 }, ...options });
	context.setDefaultTimeout(PATIENCE_MS);
	await context.addInitScript(() => {
		addEventListener("securitypolicyviolation", (event) =>
			console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`));
	});
	context.on("page", (page) => {
		page.on("console", (message) => {
			if (["error", "warning"].includes(message.type()))
				complaints.push(
					`console: ${message.text()} ${message.location().url}`);
		});
		page.on("pageerror", (error) => complaints.push(`error: ${error.stack}`));
		page.on("dialog", (dialog) => {
			complaints.push(`dialog: ${dialog.type()} ${dialog.message()}`);
			if (dialog.type() === accepted)
				dialog.accept();
			else
				dialog.dismiss();
		});
		page.on("request", (request) => {
			if (!request.url().startsWith(url))
				complaints.push(`foreign: ${request.url()}`);
			if (/eyJ[\w-]+\./.test(request.url()))
				complaints.push(`token in an address: ${request.url()}`);
		});
	});
	contexts.push(context);
	return context;
}

// Allows complaints of the browser that a scene causes.
export const forgive = (...patterns) => forgiven.push(...patterns);

// Answers dialogues of this kind with yes from now on.
export function accept(type) {
	accepted = type;
	forgive(new RegExp(`^dialog: ${type} $`));
}

let people = 0;
export const newEmail = () =>
	`person${process.pid}x${Date.now()}x${++people}@example.org`;

export async function open(context, hash = "") {
	const page = await context.newPage();
	await page.goto(url + hash);
	return page;
}

export async function fillIn(page, email, password = PASSWORD) {
	await page.getByLabel("E-mail address").fill(email);
	await page.getByLabel("Password").fill(password);
	await page.keyboard.press("Enter");
}

export async function signUp(page, email = newEmail()) {
	await page.getByRole("button", { name: "Sign up" }).click();
	await fillIn(page, email);
	await page.getByLabel("New task").waitFor();
	return email;
}

export async function signIn(page, email, password = PASSWORD) {
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	await fillIn(page, email, password);
	await page.getByLabel("New task").waitFor();
}

// A new person at a new page.
export async function newcomer(options) {
	const context = await person(options);
	const page = await open(context);
	const email = await signUp(page);
	return { context, page, email };
}

export async function add(page, ...titles) {
	for (const title of titles) {
		await page.getByLabel("New task").fill(title);
		await page.keyboard.press("Enter");
	}
}

// All is saved: no task is marked as being saved.
export const saved = (page) =>
	becomes(() => page.locator(".task[aria-busy=true]").count(), 0, "all is saved");

export const titles = (page) => page.locator(".task .text").allTextContents();
export const row = (page, title) => page.locator(".task").filter({ hasText: title });
export const edit = (page, title) =>
	page.getByRole("button", { name: `Edit ${title}` });
export const remove = (page, title) =>
	page.getByRole("button", { name: `Delete ${title}` });
export const done = (page, title) =>
	page.getByRole("checkbox", { name: `Completed: ${title}` });
export const focused = (page) => page.evaluate(() =>
	document.activeElement.getAttribute("aria-label")
	?? document.activeElement.labels?.[0]?.textContent
	?? document.activeElement.textContent);

// The titles on the server, as another browser of the same person sees them.
export async function elsewhere(context, hash = "") {
	const other = await person({ storageState: await context.storageState() });
	const page = await open(other, hash);
	await page.locator("ul.tasks[aria-busy=false]")
		.waitFor({ state: "attached" });
	const seen = await titles(page);
	await other.close();
	return seen;
}

// From here on time passes only by page.clock, for all tabs of this browser.
export async function stopClock(page) {
	await page.clock.install();
	await page.clock.pauseAt(Date.now() + 1000);
}

export async function shot(page, name) {
	if (process.env.PAGE_SCREENSHOTS)
		await page.screenshot({ animations: "disabled",
			path: `${process.env.PAGE_SCREENSHOTS}/${name}.png` });
}

// Runs the scenes of a script one after the other, with tokens that live for
// `lifetime` seconds.
export async function play(scenes, lifetime = 86_400) {
	await stack(`tokens ${lifetime}`);
	const key = await serverKey();
	browser = await chromium.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: [`--ignore-certificate-errors-spki-list=${key}`],
	});
	const only = process.env.PAGE_SCENE;
	for (const [name, scene] of Object.entries(scenes)) {
		if (only && !name.includes(only))
			continue;
		contexts = [];
		complaints = [];
		forgiven = [];
		accepted = null;
		say(`# ${name}`);
		try {
			await scene();
		} catch (error) {
			ok(false, `${name}: runs to its end`, error.message);
			for (const [i, page] of contexts.flatMap((c) => c.pages()).entries())
				await shot(page, `failed-${name.replace(/\W+/g, "-")}-${i}`);
		}
		const stored = [];
		for (const context of contexts) {
			for (const page of context.pages())
				stored.push(await page.evaluate(async () => JSON.stringify([
					{ ...localStorage }, { ...sessionStorage }, document.cookie,
					location.href, history.state, name,
					await indexedDB.databases(), await caches.keys()]))
					.catch(() => "[]"));
			await context.close();
		}
		ok(!stored.some((text) => /eyJ[\w-]+\.|better-auth/.test(text)),
			`${name}: no script can find a token`, ...stored);
		const bad = complaints.filter((line) =>
			!forgiven.some((pattern) => pattern.test(line)));
		ok(!bad.length, `${name}: the browser does not complain`, ...bad);
	}
	await browser.close();
	process.exit(0);
}
