// Goal: nobody notices that tokens expire; nobody sees another's tasks.
// The issuer's tokens live a few seconds here.

import { add, becomes, edit, forgive, is, newcomer, ok, open, play, saved, signIn,
	signUp, stack, titles,
} from "./browser.mjs";

const LIFE_MS = process.env.TOKEN_LIFETIME * 1000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The requests of a page: [method, path, status].
function watch(page) {
	const seen = [];
	page.on("response", (response) => seen.push([response.request().method(),
		new URL(response.url()).pathname, response.status()]));
	return seen;
}
const tokens = (seen) => seen.filter(([, path]) => path === "/api/auth/token");

async function expiry() {
	const { page } = await newcomer();
	const seen = watch(page);
	for (let i = 1; i <= 4; i++) {
		await add(page, `task ${i}`);
		await saved(page);
		await sleep(LIFE_MS * 0.6);
	}
	is(await titles(page), ["task 4", "task 3", "task 2", "task 1"],
		"tasks are added over the lives of several tokens");
	await page.getByLabel("New task").fill("typed while the token expires");
	await sleep(LIFE_MS * 1.5);
	await page.keyboard.press("Enter");
	await saved(page);
	is((await titles(page))[0], "typed while the token expires",
		"and after one has run out, too");
	ok(tokens(seen).length >= 2, "with several tokens", seen);
	is(seen.filter(([, , status]) => status >= 400), [],
		"renewed before they run out: nothing was refused");
}

// Tokens that the server refuses although they look fresh: all at once fail,
// one renewal serves all, each is repeated once, no task is made twice.
async function refusedTokens() {
	const { page, context } = await newcomer();
	await add(page, "before");
	await saved(page);
	forgive(/401/);
	const used = [];
	let spoil = true;
	await context.route("**/api/*/tasks*", async (route) => {
		const request = route.request();
		const headers = await request.allHeaders();
		used.push([request.method(), headers["idempotency-key"]]);
		// All are on their way before the first is refused.
		for (let i = 0; spoil && used.length < 5 && i < 100; i++)
			await sleep(50);
		await route.continue(spoil
			? { headers: { ...headers, authorization: headers.authorization + "x" } }
			: {});
	});
	const seen = watch(page);
	// All of them are refused before any is renewed.
	let refused = 0;
	await context.route("**/api/auth/token", async (route) => {
		for (let i = 0; refused < 5 && i < 100; i++) {
			refused = seen.filter(([, , status]) => status === 401).length;
			await sleep(50);
		}
		spoil = false;
		await route.continue();
	});
	await add(page, "a", "b", "c", "d", "e");
	await saved(page);
	is((await titles(page)).sort(), ["a", "b", "before", "c", "d", "e"],
		"five writes are refused and made nevertheless");
	is(refused, 5, "all five were");
	is(tokens(seen).length, 1, "with a single renewal");
	const keys = used.filter(([method]) => method === "POST").map(([, key]) => key);
	is(keys.length, 10, "each was sent twice");
	is(new Set(keys).size, 5, "under one Idempotency-Key");
	await context.unroute("**/api/*/tasks*");
	await page.reload();
	await becomes(async () => (await titles(page)).sort(),
		["a", "b", "before", "c", "d", "e"], "and none was made twice");
}

async function deadSession() {
	const { page, context, email } = await newcomer();
	await add(page, "kept");
	await saved(page);
	await page.getByRole("link", { name: "Pending" }).click();
	await edit(page, "kept").click();
	await page.getByLabel("Title").fill("being edited");
	await page.getByLabel("New task").fill("being typed");
	forgive(/401/);
	await stack("sql DELETE FROM better_auth.session WHERE userId IN"
		+ ` (SELECT id FROM better_auth.user WHERE email = '${email}')`);
	await sleep(LIFE_MS);
	await page.getByLabel("Title").press("Enter");
	await page.getByText("Your session has ended.").waitFor();
	ok(true, "a session that has ended leads to sign-in");
	is(await page.getByText("kept", { exact: true }).count(), 0,
		"nothing of the list is shown there");
	is(await page.getByLabel("E-mail address").inputValue(), email,
		"the address is known");
	await signIn(page, email);
	await becomes(() => titles(page), ["being edited"],
		"signed in again, the edit goes through");
	is(await page.getByLabel("New task").inputValue(), "being typed",
		"what was typed is there");
	ok(page.url().endsWith("#pending"), "and so is the place");
	await saved(page);

	// A new page finds the session dead at once.
	await context.clearCookies();
	await page.reload();
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	await signIn(page, email);
	await becomes(() => titles(page), ["being edited"], "it was saved");
	is(await page.getByLabel("New task").inputValue(), "being typed",
		"even a reload keeps what was typed");
	ok(page.url().endsWith("#pending"), "and the place");
}

async function twoPeople() {
	const one = await newcomer();
	const two = await newcomer();
	await add(one.page, "mine alone");
	await add(two.page, "of the other");
	await saved(one.page);
	await saved(two.page);
	for (const { page } of [one, two])
		await page.reload();
	await becomes(() => titles(one.page), ["mine alone"], "one sees their own");
	await becomes(() => titles(two.page), ["of the other"], "and the other theirs");
}

// In one browser somebody else signs in, behind the back of an open page.
async function someoneElse() {
	const { page, context } = await newcomer();
	await add(page, "of the first");
	await saved(page);
	const sent = [];
	context.on("request", (request) => sent.push([
		request.headers().authorization ?? "", request.postData() ?? ""]));
	const tab = await open(context);
	await tab.getByRole("button", { name: "Sign out" }).click();
	await page.getByText("You are signed out.").waitFor();
	ok(true, "signing out in one tab signs out the other");
	const second = await signUp(tab);
	await becomes(() => page.locator(".who span").textContent(), second,
		"and signing in signs it in");
	await add(tab, "of the second");
	await saved(tab);
	await tab.close();

	// Now without a word between the tabs: only the cookie changes.
	const third = await newcomer();
	await add(third.page, "of the third");
	await saved(third.page);
	await page.getByLabel("New task").fill("typed by the second");
	await context.clearCookies();
	await context.addCookies(await third.context.cookies());
	await sleep(LIFE_MS);
	sent.length = 0;
	await page.keyboard.press("Enter");
	await becomes(() => page.locator(".who span").textContent(), third.email,
		"a renewed token of somebody else shows who it is");
	await becomes(() => titles(page), ["of the third"], "and that person's list");
	await page.getByText("You are now signed in as").waitFor();
	is(await page.getByLabel("New task").inputValue(), "", "with nothing typed");
	const theirs = (bearer) => bearer && JSON.parse(Buffer.from(
		bearer.split(".")[1], "base64url")).user_email === third.email;
	is(sent.filter(([bearer, body]) => theirs(bearer)
		&& body.includes("typed by the second")), [],
	"and the text of the one before is never sent as theirs");
	await third.page.reload();
	await becomes(() => titles(third.page), ["of the third"], "nor is it there");
}

async function tabs() {
	const { page, context } = await newcomer();
	const tab = await open(context);
	await add(page, "from the first tab");
	await saved(page);
	await tab.bringToFront();
	await tab.evaluate(() =>
		document.dispatchEvent(new Event("visibilitychange")));
	await becomes(() => titles(tab), ["from the first tab"],
		"a tab that is looked at again is up to date");

	// Away and back: no entry of the history shows a list to nobody.
	await page.getByRole("button", { name: "Sign out" }).click();
	await page.getByText("You are signed out.").waitFor();
	await page.goto("about:blank");
	await page.goBack();
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	is(await titles(page), [], "the back button does not bring back a list");
	await tab.getByText("You are signed out.").waitFor();
	is(await titles(tab), [], "nor does the other tab keep one");
}

await play({ expiry, refusedTokens, deadSession, twoPeople, someoneElse, tabs });
