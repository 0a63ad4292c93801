// Goal: everybody can use the page: axe finds nothing serious in any state, light
// and dark; 360 pixels are enough; the policy lets nothing foreign in; it is small.

import { add, axeSource, becomes, done, edit, fillIn, forgive, is, newcomer, ok,
	open, person, play, remove, saved, shot, signUp, stack, url,
} from "./browser.mjs";

// The brightness of the page and of its text, 0 to 1.
const brightness = (page) => page.evaluate(() => {
	const style = getComputedStyle(document.documentElement);
	return ["backgroundColor", "color"].map((name) =>
		Math.max(...style[name].match(/\d+/g).slice(0, 3)) / 255);
});

// Elements that are wider than the page or scroll sideways.
const tooWide = (page) => page.evaluate(() =>
	[...document.querySelectorAll("body *")].filter((element) => {
		const { left, right } = element.getBoundingClientRect();
		return left < -1 || right > innerWidth + 1
			|| element.scrollWidth > element.clientWidth + 1
				&& /auto|scroll/.test(getComputedStyle(element).overflowX);
	}).map((element) => element.outerHTML.slice(0, 100)));

async function axe(page, state) {
	for (const colorScheme of ["light", "dark"]) {
		await page.emulateMedia({ colorScheme });
		const [ground, text] = await brightness(page);
		ok(colorScheme === "light" ? ground > .9 && text < .2
			: ground < .2 && text > .9, `${state} is ${colorScheme}`, { ground, text });
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
		ok(found.passes.length > 10,
			`axe: ${state}, ${colorScheme}: more than 10 rules were checked`);
	}
	await page.emulateMedia({ colorScheme: "light" });
	is(await tooWide(page), [], `${state} fits its width`);
}

async function states(viewport, name) {
	const context = await person({ viewport });
	const page = await open(context);
	// The README shows this address.
	const email = "ada@example.org";
	await stack(`sql DELETE FROM better_auth.user WHERE email = '${email}'`);
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	await axe(page, `sign-in, ${name}`);
	forgive(/401 .*sign-in\/email/);
	await fillIn(page, email, "not the password");
	await page.getByText("Invalid email or password").waitFor();
	await axe(page, `a wrong password, ${name}`);
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
	await page.mouse.move(1, 1);
	await shot(page, name === "desktop" ? "tasks" : "phone");
	await axe(page, `tasks, ${name}`);
	await page.emulateMedia({ colorScheme: "dark" });
	await shot(page, name === "desktop" ? "tasks-dark" : "phone-dark");
	await page.getByLabel("New task").fill("W".repeat(201));
	await page.keyboard.press("Enter");
	await remove(page, "Buy milk").click();
	// The message stays while the pointer is over it.
	await page.getByRole("button", { name: "Undo" }).hover();
	await page.getByRole("alert").getByRole("button").waitFor();
	await axe(page, `a message and undo, ${name}`);
	await page.getByLabel("New task").fill("W".repeat(200));
	await page.keyboard.press("Enter");
	await saved(page);
	await axe(page, `a word of 200 letters, ${name}`);
	forgive(/ERR_INTERNET_DISCONNECTED/);
	await context.setOffline(true);
	await add(page, "مهمة من اليمين إلى اليسار");
	await page.getByText("You are offline.").waitFor();
	await axe(page, `offline, ${name}`);
	await context.setOffline(false);
	await saved(page);
	await page.getByRole("link", { name: "Completed" }).click();
	await becomes(() => page.locator(".task").count(), 1, "one is completed");
	await axe(page, `completed tasks, ${name}`);
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
	await tab.getByLabel("Title").fill("W".repeat(200));
	await tab.getByLabel("Title").press("Enter");
	await saved(tab);
	await page.getByLabel("Title").press("Enter");
	await page.getByRole("dialog").waitFor();
	await axe(page, "the dialogue");
}

async function policy() {
	const { page, context } = await newcomer();
	const response = await page.goto(`${url}?again`);
	const csp = Object.fromEntries((await response.headerValue(
		"content-security-policy") ?? "").split(";").map((directive) => {
		const [name, ...sources] = directive.trim().split(/\s+/);
		return [name, sources.join(" ")];
	}));
	is(csp["default-src"], "'none'", "the policy allows nothing by default");
	is([csp["script-src"], csp["style-src"], csp["connect-src"]],
		["'self'", "'self'", "'self'"],
			"scripts, styles and requests are of the same origin");
	is([csp["frame-ancestors"], csp["base-uri"], csp["form-action"]],
		["'none'", "'none'", "'self'"],
			"the page has no frame around it, no other base and no foreign target");
	is([csp["require-trusted-types-for"], csp["trusted-types"]],
		["'script'", "'none'"], "text cannot become markup");
	is(Object.values(csp).filter((sources) =>
		!/^'(self|none|script)'$/.test(sources)), [],
	"the policy names no foreign source and nothing inline");
	const html = await response.text();
	ok(!/<style|style=|<script(?![^>]* src=)|\son\w+=|https?:\/\//.test(html),
		"the document holds nothing inline and no foreign address", html);
	const lost = await context.request.get(`${url}no/such/page`);
	is([lost.status(), lost.headers()["content-security-policy"]],
		[404, await response.headerValue("content-security-policy")],
		"a missing page has the same policy");

	// Chromium enforces the policy.
	forgive(/CSP|Content Security Policy|violates|foreign: https:\/\/example.org/,
		/This document requires 'Trusted/);
	is(await page.evaluate(async () => {
		const ran = [];
		globalThis.run = (what) => ran.push(what);
		const make = (name, members) => {
			const element = Object.assign(document.createElement(name), members);
			document.body.append(element);
			return element;
		};
		const attempts = {
			script: () => make("script", { text: "run('script')" }),
			node: () => make("script").append("run('node')"),
			handler() {
				const button = make("button");
				button.setAttribute("onclick", "run('handler')");
				button.click();
			},
			markup: () => make("div", { innerHTML: "<b>" }) && run("markup"),
			eval: () => new Function("run('eval')")(),
			image: () => make("img", { src: "https://example.org/x.png" }),
			frame: () => make("iframe", { src: "https://example.org/" }),
			fetch: () => fetch("https://example.org/").then(() => run("fetch")),
		};
		// Delayed, since code that a debugger evaluates directly is allowed.
		for (const attempt of Object.values(attempts))
			await new Promise((resolve) => setTimeout(resolve))
				.then(attempt).catch(() => {});
		return ran;
	}), [], "no script, handler, markup, eval or foreign request gets through");
}

// The bytes that a person loads before the first edit.
async function weight() {
	const context = await person();
	const page = await context.newPage();
	const files = [];
	page.on("requestfinished", (request) => {
		if (!new URL(request.url()).pathname.startsWith("/api/"))
			files.push(request);
	});
	await page.goto(url);
	await signUp(page);
	await add(page, "one");
	await saved(page);
	await edit(page, "one").click();
	const sizes = await Promise.all(files.map(async (request) => [
		new URL(request.url()).pathname,
		(await request.sizes()).responseBodySize,
		await (await request.response()).headerValue("content-encoding")]));
	const all = sizes.reduce((sum, [, size]) => sum + size, 0);
	ok(sizes.length >= 3 && all > 5_000 && all < 60_000,
		`the page is ${all} bytes in ${sizes.length} files`, sizes);
	is(sizes.filter(([path, , coding]) => /\.(js|css)$/.test(path)
		&& coding !== "gzip"), [], "scripts and styles are compressed");
}

await play({ desktop, phone, dialog, policy, weight });
