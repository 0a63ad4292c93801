// Goal: a person does not notice that tokens expire. Here they live a few seconds.

import { add, bearer, becomes, edit, forgive, is, newcomer, ok, open, play, remove,
	elsewhere, saved, shot, signIn, signUp, stack, titles, until, url, done,
} from "./browser.mjs";

const LIFETIME = 5;

// The requests of a page that carry a token, with its claims.
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

// Waits until the latest token has expired.
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
	ok(jtis.size >= 4, `there were ${jtis.size} tokens`);
	const late = seen.map(({ request, claims }) =>
		request.timing().startTime - claims.exp * 1000);
	is(late.filter((ms) => ms >= 0), [],
		"each token was renewed before it expired");
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
	ok(true, "an ended session leads to sign-in");
	is(await page.getByText("kept", { exact: true }).count(), 0,
		"sign-in shows nothing of the list");
	is(await page.getByLabel("E-mail address").inputValue(), email,
		"sign-in knows the address");
	await shot(page, "session-ended");
	await signIn(page, email);
	await becomes(() => titles(page), ["being edited"],
		"the edit is saved after signing in again");
	is(await page.getByLabel("New task").inputValue(), "being typed",
		"a typed title is still there after signing in again");
	ok(page.url().endsWith("#pending"),
		"the page shows the same filter after signing in again");
	await saved(page);

	// A new page sees at once that the session has ended.
	await context.clearCookies();
	await page.reload();
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	await signIn(page, email);
	await becomes(() => titles(page), ["being edited"],
		"the edit is there after a reload");
	is(await page.getByLabel("New task").inputValue(), "being typed",
		"a typed title is still there after a reload");
	ok(page.url().endsWith("#pending"),
		"the page shows the same filter after a reload");
}

// Another person signs in, in the same browser, while a page is open.
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
		"signing in in one tab signs in the other");
	await add(tab, "of the second");
	await saved(tab);
	await tab.close();

	// Without a message between the tabs: only the cookie changes.
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
		"a renewed token of another person shows that person");
	await becomes(() => titles(page), ["of the third"],
		"a renewed token of another person shows that person's list");
	await page.getByText("You are now signed in as").waitFor();
	is(await page.getByLabel("New task").inputValue(), "",
		"the title typed by the first person is gone");
	await add(page, "also of the third");
	await saved(page);
	is(sent.filter(([email, body]) => email === third.email
		&& body.includes("typed by the second")), [],
	"the title typed by the first person is never sent for the other");
	is(await elsewhere(third.context), ["also of the third", "of the third"],
		"the other person has no task of the first");
}

// A page with an expired token is left while a deletion can be undone.
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
		"a deletion renews the token before it is sent");
	await page.goto("about:blank");
	await becomes(() => elsewhere(context), [],
		"the task is deleted although the page was left");
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
	ok(true, "the page says that the server is not available");
	await shot(page, "unavailable");
	is(await titles(page), ["while it is away", "before"],
		"the page keeps a task that was added meanwhile");
	ok(await page.getByText("Saving…").isVisible(),
		"the added task is marked as not yet saved");
	await done(page, "before").check();
	// A token that cannot be renewed does not sign the person out.
	await runOut(seen);
	const asked = page.waitForResponse("**/api/auth/token");
	is((await asked).status(), 503, "the expired token cannot be renewed");
	is(await page.getByRole("heading", { name: "Sign in" }).count(), 0,
		"the page does not ask to sign in");
	const answer = await context.request.get(`${url}api/auth/get-session`);
	const { status, code } = await answer.json();
	is([answer.status(), answer.headers()["retry-after"], status, code],
		[503, "1", 503, "unavailable"],
			"the issuer answers 503, not signed out");
	await stack("database start");
	await saved(page);
	await becomes(() => page.locator(".banner").textContent(), "",
		"the message goes away when the server is back");
	is(await page.getByLabel("New task").inputValue(), "half typed",
		"a half typed title is still there");
	await page.reload();
	await becomes(() => titles(page), ["while it is away", "before"],
		"every added task was saved once");
	is(await done(page, "before").isChecked(), true, "the completion was saved");
}

await play({ expiry, deadSession, someoneElse, leaving, database }, LIFETIME);
