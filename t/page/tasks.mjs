// Goal: a person signs up and keeps tasks, by mouse and by keyboard alone; what
// the server refuses is taken back; text is text.

import { add, becomes, done, edit, elsewhere, fillIn, focused, forgive, is, newEmail,
	newcomer, ok, open, person, PASSWORD, remove, row, saved, shot, signUp,
	stopClock, titles, until, url, play,
} from "./browser.mjs";

async function firstTask() {
	const context = await person();
	const page = await open(context);
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	await shot(page, "sign-in");
	is(await page.evaluate(() => document.activeElement.id), "email",
		"the address can be typed at once");
	const email = await signUp(page);
	await becomes(() => page.locator(".none").textContent(),
		"No tasks yet. Write the first one above.", "a newcomer has no task");
	ok(await page.getByText(email).isVisible(), "and sees who they are");
	await shot(page, "no-tasks");
	await add(page, "Buy milk");
	is(await titles(page), ["Buy milk"], "Enter adds, at once");
	await saved(page);
	is(await elsewhere(context), ["Buy milk"], "and the server has it");

	const cookies = await context.cookies();
	ok(cookies.length, "there is a cookie");
	is(cookies.filter((c) => !c.name.startsWith("__Secure-") || !c.httpOnly
		|| !c.secure || c.sameSite !== "Lax"), [],
	"and it is __Secure-, HttpOnly and of this site");

	await page.getByRole("button", { name: "Sign out" }).click();
	await page.getByText("You are signed out.").waitFor();
	is(await page.getByText("Buy milk").count(), 0, "signed out, nothing is shown");
	await page.reload();
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	ok(true, "nor after a reload");
	await fillIn(page, email, "not the password");
	forgive(/401 .*sign-in\/email/);
	await becomes(() => page.locator("#problem").textContent(),
		"Invalid email or password", "a wrong password is said so");
	await fillIn(page, email);
	await becomes(() => titles(page), ["Buy milk"], "the right one opens the list");
}

// What sign-in can answer, but for the wrong password above.
async function signInTrouble() {
	const { context, email } = await newcomer();
	const other = await person();
	const page = await open(other);
	const answers = [];
	await other.route("**/sign-in/email", (route) => {
		const answer = answers.shift();
		return !answer ? route.fallback()
			: answer === "lost" ? route.abort() : route.fulfill(answer);
	});
	forgive(/429|503|ERR_FAILED/);
	for (const [answer, text] of [
		[{ status: 429 }, "Too many attempts. Wait ten seconds, then try again."],
		[{ status: 503 },
			"The server is not available right now. Try again in a moment."],
		["lost", "The server cannot be reached."]]) {
		answers.push(answer);
		await fillIn(page, email);
		await becomes(() => page.locator("#problem").textContent(), text, text);
		is(await page.getByLabel("E-mail address").inputValue(), email,
			"what was typed is still there");
	}
	await page.getByRole("button", { name: "Sign in" }).click();
	await becomes(() => page.locator(".who span").textContent(), email,
		"and it works once it can");
	await context.close();
}

async function works() {
	const { context, page } = await newcomer();
	await add(page, "one", "two", "three");
	is(await titles(page), ["three", "two", "one"], "newest first");
	await saved(page);
	await done(page, "two").check();
	await saved(page);
	await page.getByRole("link", { name: "Pending" }).click();
	await becomes(() => titles(page), ["three", "one"], "pending");
	await page.getByRole("link", { name: "Completed" }).click();
	await becomes(() => titles(page), ["two"], "completed");
	await page.reload();
	await becomes(() => titles(page), ["two"], "a reload keeps the filter");
	await page.goBack();
	await becomes(() => titles(page), ["three", "one"], "and back goes back");
	await page.getByRole("link", { name: "All" }).click();

	await edit(page, "one").click();
	await page.getByLabel("Title").fill("one, better");
	await page.getByLabel("Description").fill("first line\nsecond line");
	await shot(page, "edit");
	await page.getByRole("button", { name: "Save" }).click();
	await becomes(() => titles(page), ["three", "two", "one, better"], "edited");
	await saved(page);
	is(await elsewhere(context), ["three", "two", "one, better"],
		"the server has the edit");
	const more = await open(context);
	await becomes(() => row(more, "one, better").locator(".more").textContent(),
		"first line\nsecond line", "with its description");
}

// The page's clock stands still but where it is told to go on.
async function undo() {
	const { context, page } = await newcomer();
	const button = page.getByRole("button", { name: "Undo" });
	await add(page, "one", "two");
	await saved(page);
	await stopClock(page);
	await remove(page, "two").click();
	is(await titles(page), ["one"], "deleted from sight");
	await shot(page, "undo");
	is(await elsewhere(context), ["two", "one"], "but not yet from the server");
	await button.click();
	is(await titles(page), ["two", "one"], "undo brings it back");
	await page.clock.runFor(60_000);
	is(await elsewhere(context), ["two", "one"], "for good");

	await remove(page, "two").click();
	await page.clock.runFor(7_000);
	is(await elsewhere(context), ["two", "one"], "seven seconds are not the time");
	await button.hover();
	await page.clock.runFor(50_000);
	ok(await button.isVisible(), "there is more under the pointer");
	is(await elsewhere(context), ["two", "one"], "nothing is deleted meanwhile");
	await page.mouse.move(1, 1);
	await page.clock.runFor(9_000);
	await becomes(() => elsewhere(context), ["one"],
		"when the time to undo ends, it is deleted");
	is(await button.count(), 0, "and cannot be undone any more");

	await remove(page, "one").click();
	await add(page, "three");
	await saved(page);
	await remove(page, "three").click();
	await becomes(() => elsewhere(context), ["three"],
		"the next deletion ends the time of the one before");
	await page.goto("about:blank");
	await becomes(() => elsewhere(context), [],
		"leaving the page deletes what could have been undone");
}

// Every way of leaving a page but the one above.
async function left() {
	const { context, page } = await newcomer();
	await add(page, "closed", "reloaded", "thrown away");
	await saved(page);
	const tab = await open(context);
	await remove(tab, "closed").click();
	await tab.close({ runBeforeUnload: true });
	await becomes(() => elsewhere(context), ["thrown away", "reloaded"],
		"a closed tab deletes what could have been undone");

	// The deletion may have got through before the new page repeats it.
	forgive(/404/);
	await remove(page, "reloaded").click();
	await page.reload();
	await becomes(() => titles(page), ["thrown away"], "and so does a reload");
	await becomes(() => elsewhere(context), ["thrown away"], "on the server too");

	// A browser that is short of memory does not ask before it throws away.
	await page.addInitScript(() => addEventListener("pagehide",
		(event) => event.stopImmediatePropagation()));
	await page.reload();
	await remove(page, "thrown away").click();
	await page.reload();
	await becomes(() => elsewhere(context), [],
		"a page that was thrown away deletes when it is back");
}

async function keyboard() {
	const context = await person();
	const page = await open(context);
	const press = async (...keys) => {
		for (const key of keys)
			await page.keyboard.press(key);
	};
	const tabTo = async (name) => {
		for (let i = 0; i < 20 && await focused(page) !== name; i++)
			await press("Tab");
		is(await focused(page), name, `Tab reaches "${name}"`);
	};
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	await tabTo("Sign up");
	await press("Enter");
	await becomes(() => focused(page), "E-mail address", "a form to sign up");
	await page.keyboard.type(newEmail());
	await press("Tab");
	await page.keyboard.type(PASSWORD);
	await press("Enter");
	await becomes(() => focused(page), "New task",
		"signed up, and the first task can be typed at once");

	await page.keyboard.type("one");
	await press("Enter");
	await page.keyboard.type("two");
	await press("Enter");
	await saved(page);
	is(await titles(page), ["two", "one"], "added without a mouse");
	await press("ArrowDown", "ArrowDown");
	is(await focused(page), "Edit one", "arrows go down");
	await press("ArrowDown");
	is(await focused(page), "Edit one", "and stay at the end");
	await press("ArrowUp");
	is(await focused(page), "Edit two", "and up");
	await press("Enter");
	await becomes(() => focused(page), "Title", "Enter edits");
	await page.keyboard.type("nothing of it");
	await press("Escape");
	await becomes(() => focused(page), "Edit two",
		"Esc cancels, back where it began");
	is(await titles(page), ["two", "one"], "and nothing has changed");
	await press("Enter");
	await becomes(() => focused(page), "Title", "editing again");
	await page.keyboard.type("TWO");
	await press("Enter");
	await becomes(() => titles(page), ["TWO", "one"], "Enter saves");
	await becomes(() => focused(page), "Edit TWO", "and goes back to the row");
	await press("Shift+Tab", "Space");
	await becomes(() => done(page, "TWO").isChecked(), true, "Space completes");
	await saved(page);
	await press("Delete");
	await becomes(() => titles(page), ["one"], "Delete deletes");
	is(await focused(page), "Completed: one", "and the focus goes on");
	await press("Control+z");
	await becomes(() => titles(page), ["TWO", "one"], "Ctrl+Z undoes");
	await press("Tab", "ArrowUp", "ArrowUp", "ArrowUp");
	is(await focused(page), "New task", "arrows go up to the new task");
	await page.keyboard.type("never mind");
	await press("Escape");
	is(await page.getByLabel("New task").inputValue(), "", "Esc empties it");

	// Once around: wherever the focus is, it can be seen, and has a name.
	await edit(page, "one").click();
	const stops = new Map();
	for (let i = 0; i < 30; i++) {
		await press("Tab");
		const name = await focused(page);
		const [tag, ...outline] = await page.evaluate(() => {
			const { outlineStyle, outlineWidth } =
				getComputedStyle(document.activeElement);
			return [document.activeElement.tagName, outlineStyle, outlineWidth];
		});
		if (tag !== "BODY")
			stops.set(name, outline.join(" "));
	}
	is([...stops].sort().map(([name]) => name), ["Add", "All", "Cancel",
		"Clear completed", "Completed", "Completed: TWO", "Delete TWO",
		"Description", "Edit TWO", "New task", "Pending", "Save", "Sign out",
		"Title"], "Tab reaches everything, by its name");
	is([...new Set(stops.values())], ["solid 2px"], "and the focus is always seen");
}

async function refused() {
	const { context, page } = await newcomer();
	await add(page, "   ");
	await becomes(() => page.getByRole("alert").innerText(),
		"Write a title first.\nDismiss", "a blank title is no title");
	await add(page, "\u200b\u3164\u2800");
	await becomes(() => page.getByRole("alert").innerText(),
		"Write a title first.\nDismiss", "nor one with nothing to see in it");
	await add(page, "é".repeat(201));
	await becomes(() => page.getByRole("alert").locator("span").textContent(),
		"A title has at most 200 characters; this one has 201.", "nor a long one");
	await add(page, "\u{1F600}".repeat(200));
	await saved(page);
	is(await titles(page), ["\u{1F600}".repeat(200)],
		"characters are counted as the server does");

	// The page lets pass what only the server knows: no such task any more.
	await add(page, "here");
	await saved(page);
	const other = await open(context);
	await remove(other, "here").click();
	await other.close();
	await becomes(() => elsewhere(context), ["\u{1F600}".repeat(200)],
		"deleted in another tab");
	forgive(/404/);
	// (Not check(): it demands that the mark stays.)
	await done(page, "here").click();
	await becomes(() => page.getByRole("alert").locator("span").textContent(),
		"“here” was not saved: it was deleted elsewhere.",
		"what the server refuses is said");
	is(await titles(page), ["\u{1F600}".repeat(200)], "and taken back");

	// A completion that is refused is taken back, and so is an edit.
	forgive(/422/);
	await add(page, "as it was");
	await saved(page);
	const spoil = async (route) => route.request().method() === "PATCH"
		? route.continue({ postData: '{"completed":1,"title":1}' })
		: route.fallback();
	await context.route("**/tasks/**", spoil);
	await done(page, "as it was").click();
	await page.getByText("“as it was” was not saved:").waitFor();
	await becomes(() => done(page, "as it was").isChecked(), false,
		"a mark that the server refuses is taken back");
	await page.getByRole("button", { name: "Dismiss" }).click();
	await edit(page, "as it was").click();
	await page.getByLabel("Title").fill("as it will not be");
	await page.getByLabel("Title").press("Enter");
	await page.getByText("“as it will not be” was not saved:").waitFor();
	await becomes(async () => (await titles(page))[0], "as it was",
		"and an edit, too");
	await context.unroute("**/tasks/**", spoil);

	// And so is a deletion.
	await context.route("**/tasks/**", async (route) =>
		route.request().method() === "DELETE"
			? route.fulfill({ status: 422, json: { detail: "No." } })
			: route.fallback());
	await stopClock(page);
	await remove(page, "as it was").click();
	is((await titles(page)).length, 1, "deleted from sight");
	await page.clock.runFor(9_000);
	await becomes(() => page.getByRole("alert").locator("span").textContent(),
		"“as it was” was not deleted: No.", "a deletion that is refused is said");
	is((await titles(page))[0], "as it was", "and taken back");
	await page.clock.resume();

	// A title that the server refuses goes back to where it was typed.
	await context.route("**/tasks", (route) => route.request().method() === "POST"
		? route.continue({ postData: '{"title":""}' }) : route.fallback());
	await add(page, "the server will not have it");
	await becomes(() => page.getByLabel("New task").inputValue(),
		"the server will not have it", "a refused title can be corrected");
	is((await titles(page))[0], "as it was", "and is not in the list");
	await context.unroute("**/tasks");
	await page.getByRole("button", { name: "Try again" }).click();
	await saved(page);
	is((await titles(page))[0], "the server will not have it", "or tried again");
	is(await page.getByLabel("New task").inputValue(), "", "without typing it");
}

async function hostile() {
	const { page } = await newcomer();
	const title = "<img src=x onerror=alert(1)>";
	await add(page, title, "<script>alert(2)</script>", "javascript:alert(3)");
	await saved(page);
	await page.reload();
	await becomes(() => titles(page), ["javascript:alert(3)",
		"<script>alert(2)</script>", title], "markup is text");
	await edit(page, title).click();
	is(await page.getByLabel("Title").inputValue(), title, "in editing as well");
	await page.getByLabel("Description").fill(title);
	await page.getByRole("button", { name: "Save" }).click();
	await saved(page);
	is(await row(page, title).locator(".more").textContent(), title,
		"in a description");
	is(await page.locator(".task img, .task script").count(), 0, "and no element");
	await remove(page, title).click();
	await becomes(() => page.locator(".undo span").textContent(),
		`Deleted “${title}”.`, "and in messages");
	is(await page.locator(".undo img").count(), 0, "nor one there");
}

async function many() {
	const { context, page } = await newcomer();
	// Sent by a script: the page's own token is not to be had.
	const made = await page.evaluate(async () => {
		const { token } = await (await fetch("/api/auth/token")).json();
		const { user_id } = JSON.parse(atob(token.split(".")[1]
			.replace(/-/g, "+").replace(/_/g, "/")));
		const statuses = [];
		for (let i = 1; i <= 120; i++) {
			const { status } = await fetch(`/api/${user_id}/tasks`, {
				method: "POST",
				headers: { Authorization: `Bearer ${token}`,
					"Content-Type": "application/json" },
				body: JSON.stringify({ title: `task ${i}`,
					completed: i % 2 === 0 }),
			});
			statuses.push(status);
		}
		return statuses.filter((status) => status === 201).length;
	});
	is(made, 120, "120 tasks");
	await page.reload();
	await becomes(async () => (await titles(page)).length, 50, "the first page");
	await page.getByRole("button", { name: "Load more" }).click();
	await becomes(async () => (await titles(page)).length, 100, "the second");
	await page.getByRole("button", { name: "Load more" }).click();
	await becomes(() => titles(page), Array.from({ length: 120 },
		(_, i) => `task ${120 - i}`), "and the rest, newest first");
	is(await page.getByRole("button", { name: "Load more" }).count(), 0,
		"there is no more");
	await page.goto(`${url}#pending`);
	await becomes(async () => (await titles(page)).length, 50, "50 are pending");
	await stopClock(page);
	await page.getByRole("button", { name: "Clear completed" }).click();
	await page.getByText("Deleted 60 tasks.").waitFor();
	ok(true, "clear completed takes those not on the page, too");
	await page.getByRole("button", { name: "Undo" }).click();
	await page.goto(`${url}#completed`);
	await becomes(async () => (await titles(page)).length, 50, "and undo gives back");
	await page.getByRole("button", { name: "Clear completed" }).click();
	await page.getByText("Deleted 60 tasks.").waitFor();
	await page.clock.runFor(61_000);
	await becomes(() => elsewhere(context, "#completed"), [],
		"when the time to undo ends, all are deleted");
	is((await elsewhere(context, "#pending")).length, 50, "and no other");
}

// What is typed into one task is not lost by opening another, nor by a reload
// unasked.
async function twoEdits() {
	const { context, page } = await newcomer();
	await add(page, "one", "two");
	await saved(page);
	await edit(page, "one").click();
	await page.getByLabel("Title").fill("ONE");
	await edit(page, "two").click();
	await page.getByLabel("Title").first().fill("TWO");
	is(await page.getByLabel("Title").nth(1).inputValue(), "ONE",
		"two tasks are edited at once");
	forgive(/^dialog: beforeunload $/);
	const asked = page.waitForEvent("dialog");
	await page.evaluate(() => setTimeout(() => location.reload()));
	is((await asked).type(), "beforeunload", "a reload asks first");
	await page.getByLabel("Title").nth(1).press("Enter");
	await page.getByLabel("Title").press("Enter");
	await saved(page);
	is(await elsewhere(context), ["TWO", "ONE"], "and both are saved");
}

// A list that was asked for before a task was made, and comes after it.
async function lateList() {
	const { context, page } = await newcomer();
	await add(page, "before");
	await saved(page);
	let late, held = 0;
	await context.route("**/tasks?*", async (route) => {
		const response = await route.fetch();
		held++;
		await new Promise((resolve) => { late = resolve; });
		await route.fulfill({ response });
	});
	await page.evaluate(() =>
		document.dispatchEvent(new Event("visibilitychange")));
	await until(() => held === 1);
	await add(page, "after");
	await saved(page);
	const arrived = page.waitForResponse(/tasks\?/);
	late();
	await (await arrived).finished();
	await becomes(() => page.locator("ul.tasks").getAttribute("aria-busy"),
		"false", "a late list has come");
	is(await titles(page), ["after", "before"], "and takes nothing away");
}

await play({ firstTask, signInTrouble, works, undo, left, keyboard, refused, hostile, many,
	twoEdits, lateList });
