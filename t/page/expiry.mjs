// Goal: nobody notices that tokens expire. Here they live a few seconds.

import { add, bearer, becomes, edit, forgive, is, newcomer, ok, open, play, remove,
	elsewhere, saved, shot, signIn, signUp, stack, titles, until, url, done,
} from "./browser.mjs";

const LIFETIME = 5;

// The requests of a page that carry a token, and what that says.
function watch(page) {
	const seen = [];
	// A request that began in time may still be late on a busy machine.
	forgive(/401 .*\/tasks/);
	page.on("request", (request) => {
		const claims = bearer(request);
		if (claims)
			seen.push({ request, claims });
	});
	return seen;
}

// Until the token that was seen last has run out.
async function runOut(seen) {
	const { exp } = seen.at(-1).claims;
	await until(() => Date.now() >= exp * 1000);
}

async function expiry() {
	const { page } = await newcomer();
	const seen = watch(page);
	for (const title of ["task 1", "task 2", "task 3"]) {
		await add(page, title);
		await saved(page);
		await runOut(seen);
	}
	await page.getByLabel("New task").fill("typed while the token expires");
	await runOut(seen);
	await page.keyboard.press("Enter");
	await saved(page);
	is(await titles(page), ["typed while the token expires",
		"task 3", "task 2", "task 1"],
	"tasks are added over the lives of several tokens");
	const jtis = new Set(seen.map(({ claims }) => claims.jti));
	ok(jtis.size >= 4, `of ${jtis.size}`);
	const late = seen.map(({ request, claims }) =>
		request.timing().startTime - claims.exp * 1000);
	is(late.filter((ms) => ms >= 0), [], "renewed before it runs out, every time");
}

async function deadSession() {
	const { page, context, email } = await newcomer();
	const seen = watch(page);
	await add(page, "kept");
	await saved(page);
	await page.getByRole("link", { name: "Pending" }).click();
	await edit(page, "kept").click();
	await page.getByLabel("Title").fill("being edited");
	await page.getByLabel("New task").fill("being typed");
	forgive(/401/);
	await stack("sql DELETE FROM better_auth.session WHERE userId IN"
		+ ` (SELECT id FROM better_auth.user WHERE email = '${email}')`);
	await runOut(seen);
	await page.getByLabel("Title").press("Enter");
	await page.getByText("Your session has ended.").waitFor();
	ok(true, "a session that has ended leads to sign-in");
	is(await page.getByText("kept", { exact: true }).count(), 0,
		"nothing of the list is shown there");
	is(await page.getByLabel("E-mail address").inputValue(), email,
		"the address is known");
	await shot(page, "session-ended");
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

// In one browser somebody else signs in, behind the back of an open page.
async function someoneElse() {
	const { page, context } = await newcomer();
	await add(page, "of the first");
	await saved(page);
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
	const seen = watch(page);
	await page.evaluate(() =>
		document.dispatchEvent(new Event("visibilitychange")));
	await until(() => seen.length);
	const sent = [];
	context.on("request", (request) => sent.push([
		bearer(request)?.user_email, request.postData() ?? ""]));
	await page.getByLabel("New task").fill("typed by the second");
	await context.clearCookies();
	await context.addCookies(await third.context.cookies());
	await runOut(seen);
	await page.keyboard.press("Enter");
	await becomes(() => page.locator(".who span").textContent(), third.email,
		"a renewed token of somebody else shows who it is");
	await becomes(() => titles(page), ["of the third"], "and that person's list");
	await page.getByText("You are now signed in as").waitFor();
	is(await page.getByLabel("New task").inputValue(), "", "with nothing typed");
	await add(page, "also of the third");
	await saved(page);
	is(sent.filter(([email, body]) => email === third.email
		&& body.includes("typed by the second")), [],
	"and the text of the one before is never sent as theirs");
	is(await elsewhere(third.context), ["also of the third", "of the third"],
		"nor is it there");
}

// A page whose token has run out is left while a deletion can be undone.
async function leaving() {
	const { page, context } = await newcomer();
	const seen = watch(page);
	await add(page, "one");
	await saved(page);
	await runOut(seen);
	const renewed = page.waitForResponse("**/api/auth/token");
	await remove(page, "one").click();
	await (await renewed).finished();
	ok(await page.getByRole("button", { name: "Undo" }).isVisible(),
		"a deletion has the token renewed, before it is sent");
	await page.goto("about:blank");
	await becomes(() => elsewhere(context), [], "it is deleted nevertheless");
}

async function database() {
	const { page, context } = await newcomer();
	const seen = watch(page);
	await add(page, "before");
	await saved(page);
	forgive(/50[234]/);
	await stack("database stop");
	await add(page, "while it is away");
	await page.getByLabel("New task").fill("half typed");
	await page.getByText("The server is not available right now.").waitFor();
	ok(true, "the page says that the server is away");
	await shot(page, "unavailable");
	is(await titles(page), ["while it is away", "before"], "and keeps what was added");
	ok(await page.getByText("Saving…").isVisible(), "as not yet saved");
	await done(page, "before").check();
	// Not being able to ask for a token is not being signed out.
	await runOut(seen);
	const asked = page.waitForResponse("**/api/auth/token");
	is((await asked).status(), 503, "the token has run out, and no other is to be had");
	is(await page.getByRole("heading", { name: "Sign in" }).count(), 0,
		"nobody is sent to sign in");
	const answer = await context.request.get(`${url}api/auth/get-session`);
	const { status, code } = await answer.json();
	is([answer.status(), answer.headers()["retry-after"], status, code],
		[503, "1", 503, "unavailable"], "the issuer does not say signed out");
	await stack("database start");
	await saved(page);
	await becomes(() => page.locator(".banner").textContent(), "",
		"when it is back, the page says no more");
	is(await page.getByLabel("New task").inputValue(), "half typed",
		"what was being typed is there");
	await page.reload();
	await becomes(() => titles(page), ["while it is away", "before"],
		"all was saved, once");
	is(await done(page, "before").isChecked(), true, "the completion, too");
}

await play({ expiry, deadSession, someoneElse, leaving, database }, LIFETIME);
