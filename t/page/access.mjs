// Goal: everybody can use it: axe finds nothing serious in any state, light and
// dark; 360 pixels are enough; the policy lets nothing in.

import { add, axeSource, done, edit, forgive, is, newcomer, ok, open, person, play,
	remove, saved, shot, signUp, stack, url,
} from "./browser.mjs";

async function axe(page, state) {
	for (const colorScheme of ["light", "dark"]) {
		await page.emulateMedia({ colorScheme });
		await page.evaluate(axeSource);
		const found = await page.evaluate(() => axe.run(document, {
			runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
				"best-practice"],
		}));
		const serious = found.violations.filter(({ impact }) =>
			["serious", "critical"].includes(impact));
		ok(!serious.length, `axe: ${state}, ${colorScheme}`,
			...serious.map(({ id, nodes }) => ({ id, nodes: nodes.map((n) =>
				[n.html, n.failureSummary]) })));
	}
	await page.emulateMedia({ colorScheme: "light" });
	const { scroll, width } = await page.evaluate(() => ({
		scroll: document.documentElement.scrollWidth, width: innerWidth }));
	ok(scroll <= width, `${state} fits its width`, { scroll, width });
}

async function states(viewport, name) {
	const context = await person({ viewport });
	const page = await open(context);
	// Whose tasks these are is seen in the README.
	const email = "ada@example.org";
	await stack(`sql DELETE FROM better_auth.user WHERE email = '${email}'`);
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	await axe(page, `sign-in, ${name}`);
	await page.getByRole("button", { name: "Sign up" }).click();
	await axe(page, `sign-up, ${name}`);
	await page.getByRole("button", { name: "Sign in" }).last().click();
	await signUp(page, email);
	await axe(page, `no tasks, ${name}`);
	await add(page, "Return the library books", "Book the train to Ghent",
		"Call the plumber about the dripping tap in the kitchen", "Buy milk");
	await saved(page);
	await done(page, "Return the library books").check();
	await edit(page, "Book the train").click();
	await page.getByLabel("Description").fill("Friday after four, back on Sunday");
	await axe(page, `editing, ${name}`);
	await page.getByRole("button", { name: "Save" }).click();
	await saved(page);
	await page.getByLabel("New task").fill("Water the plants");
	await shot(page, name === "desktop" ? "tasks" : "phone");
	await axe(page, `tasks, ${name}`);
	await page.emulateMedia({ colorScheme: "dark" });
	await shot(page, name === "desktop" ? "tasks-dark" : "phone-dark");
	await page.getByLabel("New task").fill("W".repeat(201));
	await page.keyboard.press("Enter");
	await remove(page, "Buy milk").click();
	await page.getByRole("alert").getByRole("button").waitFor();
	await axe(page, `a message and undo, ${name}`);
	await page.getByLabel("New task").fill("W".repeat(200));
	await page.keyboard.press("Enter");
	await saved(page);
	await axe(page, `a word of 200 letters, ${name}`);
}

const desktop = () => states({ width: 1000, height: 720 }, "desktop");
const phone = () => states({ width: 360, height: 640 }, "phone");

async function dialog() {
	const { page, context } = await newcomer({
		viewport: { width: 360, height: 640 } });
	await add(page, "one");
	await saved(page);
	await page.reload();
	await edit(page, "one").click();
	await page.getByLabel("Title").fill("mine ".repeat(30));
	const tab = await open(context);
	forgive(/412/);
	await edit(tab, "one").click();
	await tab.getByLabel("Title").fill("theirs ".repeat(20));
	await tab.getByLabel("Title").press("Enter");
	await saved(tab);
	await page.route("**/tasks/*", (route) => route.fallback());
	await page.getByLabel("Title").press("Enter");
	await page.getByRole("dialog").waitFor();
	await axe(page, "the dialogue");
}

async function policy() {
	const context = await person();
	const page = await context.newPage();
	const response = await page.goto(url);
	const csp = Object.fromEntries((await response.headerValue(
		"content-security-policy") ?? "").split(";").map((directive) => {
		const [name, ...sources] = directive.trim().split(/\s+/);
		return [name, sources.join(" ")];
	}));
	is(csp["default-src"], "'none'", "the policy begins with nothing");
	is([csp["script-src"], csp["style-src"], csp["connect-src"]],
		["'self'", "'self'", "'self'"], "scripts, styles and requests: our own");
	is(csp["frame-ancestors"], "'none'", "and no frame around it");
	const html = await response.text();
	ok(!/<style|style=|<script(?![^>]* src=)|\son\w+=|https?:\/\//.test(html),
		"the document holds nothing inline and no foreign address", html);
	const bytes = [];
	for (const path of ["", ...[...html.matchAll(/(?:src|href)="\/?([^"]+)"/g)]
		.map((match) => match[1])]) {
		const { length } = await page.evaluate(async (address) => {
			const body = (await fetch(address)).body
				.pipeThrough(new CompressionStream("gzip"));
			return { length: (await new Response(body).arrayBuffer()).byteLength };
		}, url + path);
		bytes.push([path, length]);
	}
	const all = bytes.reduce((sum, [, length]) => sum + length, 0);
	ok(all < 60_000, `all of it is ${all} bytes, gzipped`, bytes);
}

await play({ desktop, phone, dialog, policy });
