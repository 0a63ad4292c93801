// Goal: no person sees the tasks of another, in any tab; a refused token is renewed
// once for all requests that need it.

import { add, becomes, done, elsewhere, forgive, is, newcomer, ok, open, play, saved,
	signIn, titles, until,
} from "./browser.mjs";

// The server refuses a token: all requests of the page fail at once, one renewal
// serves all, each request is repeated once, and no task is created twice.
async function refusedTokens() {
	const { page, context } = await newcomer();
	await add(page, "a", "b", "c", "d");
	await saved(page);
	forgive(/401/);
	const sent = [];
	let spoil = true, refused = 0, renewals = 0;
	await context.route("**/tasks**", async (route) => {
		const headers = await route.request().allHeaders();
		sent.push([headers["idempotency-key"], headers.authorization]);
		// All requests are sent before the first is refused.
		if (spoil)
			await until(() => sent.length >= 5);
		await route.continue(spoil
			? { headers: { ...headers, authorization: headers.authorization + "x" } }
			: {});
	});
	page.on("response", (response) => {
		refused += response.status() === 401;
	});
	// All requests are refused before the token is renewed.
	await context.route("**/api/auth/token", async (route) => {
		renewals++;
		await until(() => refused >= 5);
		spoil = false;
		await route.continue();
	});
	for (const title of ["a", "b", "c", "d"])
		await done(page, title).click();
	await add(page, "e");
	await saved(page);
	is(await titles(page), ["e", "d", "c", "b", "a"],
		"five refused writes are done in the end");
	is(refused, 5, "five requests were refused");
	is(renewals, 1, "the token was renewed once");
	is(sent.length, 10, "each request was sent twice");
	const [key, again, ...more] = sent.map(([key]) => key).filter((key) => key);
	is([again, more], [key, []], "a repeated POST has the same Idempotency-Key");
	is(new Set(sent.map(([, token]) => token)).size, 2,
		"the repeated requests have another token");
	await context.unroute("**/tasks**");
	is(await elsewhere(context), ["e", "d", "c", "b", "a"],
		"each task was created once");
	is((await elsewhere(context, "#completed")).length, 4,
		"each completion was done once");
}

// A renewed token that is refused too is not renewed again.
async function refusedForGood() {
	const { page, context } = await newcomer();
	forgive(/401/);
	let sent = 0;
	await context.route("**/api/*/tasks", async (route) => {
		sent++;
		await route.continue({ headers: { ...await route.request().allHeaders(),
			authorization: "Bearer no.to.ken" } });
	});
	await add(page, "in vain");
	await page.getByText("“in vain” was not added: Invalid token").waitFor();
	is(sent, 2, "a request is repeated once, then the page shows the refusal");
	is(await page.getByLabel("New task").inputValue(), "in vain",
		"the typed title is still there");
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
	await becomes(() => titles(one.page), ["mine alone"],
		"the first person sees their own task");
	await becomes(() => titles(two.page), ["of the other"],
		"the second person sees their own task");
}

async function tabs() {
	const { page, context } = await newcomer();
	const tab = await open(context);
	await tab.getByText("No tasks yet.").waitFor();
	await add(page, "from the first tab");
	await saved(page);
	await tab.bringToFront();
	await tab.evaluate(() =>
		document.dispatchEvent(new Event("visibilitychange")));
	await becomes(() => titles(tab), ["from the first tab"],
		"a tab that becomes visible again is up to date");

	// No entry of the history shows a list after signing out.
	await page.getByRole("button", { name: "Sign out" }).click();
	await page.getByText("You are signed out.").waitFor();
	await page.goto("about:blank");
	await page.goBack();
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	is(await titles(page), [], "the back button does not bring back a list");
	await tab.getByText("You are signed out.").waitFor();
	is(await titles(tab), [], "the other tab keeps no list");
}

// Signing out while something is not saved.
async function unsaved() {
	const { page, context, email } = await newcomer();
	await add(page, "saved");
	await saved(page);
	forgive(/503/);
	let away = true;
	await context.route("**/tasks", (route) => away
		&& route.request().method() === "POST"
		? route.fulfill({ status: 503 }) : route.fallback());
	const out = page.getByRole("button", { name: "Sign out", exact: true });
	await add(page, "not saved");
	await out.click();
	await page.getByText("Not everything is saved yet.").waitFor();
	is(await titles(page), ["not saved", "saved"],
		"the page asks before it signs out with an unsaved task");
	away = false;
	await saved(page);
	await out.click();
	await page.getByText("You are signed out.").waitFor();
	await signIn(page, email);
	await becomes(() => titles(page), ["not saved", "saved"],
		"the page signs out without asking when all is saved");
	away = true;
	await add(page, "never mind");
	await out.click();
	// The answer to get-session is held back.
	let asked;
	await context.route("**/api/auth/get-session", (route) => { asked = route; });
	await page.getByRole("button", { name: "Sign out anyway" }).click();
	await until(() => asked);
	is(await titles(page), [], "signing out removes the list at once");
	await context.unroute("**/api/auth/get-session");
	await asked.fallback();
	await page.getByText("You are signed out.").waitFor();
	is(await page.evaluate(() => sessionStorage.length), 0,
		"signing out with an unsaved task leaves nothing in the browser");
}

await play({ refusedTokens, refusedForGood, twoPeople, tabs, unsaved });
