// Goal: nobody sees another's tasks, in whatever tab; a token that is refused is
// renewed once, for all who need it.

import { add, becomes, done, elsewhere, forgive, is, newcomer, ok, open, play, saved,
	signIn, titles, until,
} from "./browser.mjs";

// A page that is about to renew its token when the server refuses it: all of its
// requests fail at once, one renewal serves all, each is repeated once, and no
// task is made twice.
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
		// All are on their way before the first is refused.
		if (spoil)
			await until(() => sent.length >= 5);
		await route.continue(spoil
			? { headers: { ...headers, authorization: headers.authorization + "x" } }
			: {});
	});
	page.on("response", (response) => {
		refused += response.status() === 401;
	});
	// And all are refused before the token is renewed.
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
		"five writes are refused and made nevertheless");
	is(refused, 5, "all five were");
	is(renewals, 1, "with a single renewal");
	is(sent.length, 10, "each was sent twice");
	const [key, again, ...more] = sent.map(([key]) => key).filter((key) => key);
	is([again, more], [key, []], "what is added under one Idempotency-Key");
	is(new Set(sent.map(([, token]) => token)).size, 2, "and with another token");
	await context.unroute("**/tasks**");
	is(await elsewhere(context), ["e", "d", "c", "b", "a"], "and made once");
	is((await elsewhere(context, "#completed")).length, 4, "all are as they should");
}

// A fresh token that is refused as well is no reason to go on asking.
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
	is(sent, 2, "it is renewed once and repeated once, and then it is said");
	is(await page.getByLabel("New task").inputValue(), "in vain",
		"what was typed is there");
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
		"signing out with something unsaved is asked about");
	away = false;
	await saved(page);
	await out.click();
	await page.getByText("You are signed out.").waitFor();
	await signIn(page, email);
	await becomes(() => titles(page), ["not saved", "saved"],
		"when it is saved, it is not");
	away = true;
	await add(page, "never mind");
	await out.click();
	// What comes next is to be seen before the server says who is there.
	let asked;
	await context.route("**/api/auth/get-session", (route) => { asked = route; });
	await page.getByRole("button", { name: "Sign out anyway" }).click();
	await until(() => asked);
	is(await titles(page), [], "who signs out leaves no list, not for a moment");
	await context.unroute("**/api/auth/get-session");
	await asked.fallback();
	await page.getByText("You are signed out.").waitFor();
	is(await page.evaluate(() => sessionStorage.length), 0,
		"or is done anyway, and nothing of it stays in the browser");
}

await play({ refusedTokens, refusedForGood, twoPeople, tabs, unsaved });
