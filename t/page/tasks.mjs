// Goal: a person signs up and keeps tasks, by mouse and by keyboard alone. The page
// takes back what the server refuses, and shows markup as text.

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
	ok(await page.getByText(email).isVisible(), "a newcomer sees their address");
	await shot(page, "no-tasks");
	await add(page, "Buy milk");
	is(await titles(page), ["Buy milk"], "Enter adds a task at once");
	await saved(page);
	is(await elsewhere(context), ["Buy milk"], "the added task is on the server");

	const cookies = await context.cookies();
	ok(cookies.length, "there is a cookie");
	is(cookies.filter((c) => !c.name.startsWith("__Secure-") || !c.httpOnly
		|| !c.secure || c.sameSite !== "Lax"), [],
	"each cookie is __Secure-, HttpOnly, Secure and SameSite=Lax");

	await page.getByRole("button", { name: "Sign out" }).click();
	await page.getByText("You are signed out.").waitFor();
	is(await page.getByText("Buy milk").count(), 0,
		"a signed out page shows no task");
	await page.reload();
	await page.getByRole("heading", { name: "Sign in" }).waitFor();
	ok(true, "a signed out page asks to sign in after a reload");
	await fillIn(page, email, "not the password");
	forgive(/401 .*sign-in\/email/);
	await becomes(() => page.locator("#problem").textContent(),
		"Invalid email or password", "a wrong password is named");
	await fillIn(page, email);
	await becomes(() => titles(page), ["Buy milk"],
		"the right password opens the list");
}

// The other answers to a sign-in.
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
			`${text} The typed address is still there.`);
	}
	await page.getByRole("button", { name: "Sign in" }).click();
	await becomes(() => page.locator(".who span").textContent(), email,
		"sign-in works once the server answers");
	await context.close();
}

async function works() {
	const { context, page } = await newcomer();
	await add(page, "one", "two", "three");
	is(await titles(page), ["three", "two", "one"], "the newest task is first");
	await saved(page);
	await done(page, "two").check();
	await saved(page);
	await page.getByRole("link", { name: "Pending" }).click();
	await becomes(() => titles(page), ["three", "one"], "the filter Pending");
	await page.getByRole("link", { name: "Completed" }).click();
	await becomes(() => titles(page), ["two"], "the filter Completed");
	await page.reload();
	await becomes(() => titles(page), ["two"], "a reload keeps the filter");
	await page.goBack();
	await becomes(() => titles(page), ["three", "one"],
		"the back button goes back to the filter before");
	await page.getByRole("link", { name: "All" }).click();

	await edit(page, "one").click();
	await page.getByLabel("Title").fill("one, better");
	await page.getByLabel("Description").fill("first line\nsecond line");
	await shot(page, "edit");
	await page.getByRole("button", { name: "Save" }).click();
	await becomes(() => titles(page), ["three", "two", "one, better"],
		"an edited title is shown");
	await saved(page);
	is(await elsewhere(context), ["three", "two", "one, better"],
		"the edit is on the server");
	const more = await open(context);
	await becomes(() => row(more, "one, better").locator(".more").textContent(),
		"first line\nsecond line", "the edited description is on the server");
}

// The clock of the page stands still, except where the scene moves it.
async function undo() {
	const { context, page } = await newcomer();
	const button = page.getByRole("button", { name: "Undo" });
	await add(page, "one", "two");
	await saved(page);
	await stopClock(page);
	await remove(page, "two").click();
	is(await titles(page), ["one"], "a deleted task is not shown");
	await shot(page, "undo");
	is(await elsewhere(context), ["two", "one"],
		"a deleted task is still on the server");
	await button.click();
	is(await titles(page), ["two", "one"], "Undo brings a deleted task back");
	await page.clock.runFor(60_000);
	is(await elsewhere(context), ["two", "one"],
		"a task after Undo stays on the server");

	await remove(page, "two").click();
	await page.clock.runFor(7_000);
	is(await elsewhere(context), ["two", "one"],
		"a deletion can be undone for more than seven seconds");
	await button.hover();
	await page.clock.runFor(50_000);
	ok(await button.isVisible(), "Undo stays while the pointer is over it");
	is(await elsewhere(context), ["two", "one"],
		"nothing is deleted while the pointer is over Undo");
	await page.mouse.move(1, 1);
	await page.clock.runFor(9_000);
	await becomes(() => elsewhere(context), ["one"],
		"the task is deleted when the time to undo ends");
	is(await button.count(), 0, "Undo goes away when the time to undo ends");

	await remove(page, "one").click();
	await add(page, "three");
	await saved(page);
	await remove(page, "three").click();
	await becomes(() => elsewhere(context), ["three"],
		"another deletion ends the time to undo the one before");
	await page.goto("about:blank");
	await becomes(() => elsewhere(context), [],
		"leaving the page deletes what could have been undone");
}

// The other ways to leave a page.
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
	await becomes(() => titles(page), ["thrown away"],
		"a reload deletes what could have been undone");
	await becomes(() => elsewhere(context), ["thrown away"],
		"a reload deletes it on the server");

	// A browser without memory discards a page without an event.
	await page.addInitScript(() => addEventListener("pagehide",
		(event) => event.stopImmediatePropagation()));
	await page.reload();
	await remove(page, "thrown away").click();
	await page.reload();
	await becomes(() => elsewhere(context), [],
		"a discarded page deletes what could have been undone when it is loaded again");
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
	await becomes(() => focused(page), "E-mail address", "Sign up opens a form");
	await page.keyboard.type(newEmail());
	await press("Tab");
	await page.keyboard.type(PASSWORD);
	await press("Enter");
	await becomes(() => focused(page), "New task",
		"the first task can be typed at once after signing up");

	await page.keyboard.type("one");
	await press("Enter");
	await page.keyboard.type("two");
	await press("Enter");
	await saved(page);
	is(await titles(page), ["two", "one"], "tasks are added by keyboard");
	await press("ArrowDown", "ArrowDown");
	is(await focused(page), "Edit one", "the down arrow goes to the next task");
	await press("ArrowDown");
	is(await focused(page), "Edit one", "the down arrow stays at the last task");
	await press("ArrowUp");
	is(await focused(page), "Edit two", "the up arrow goes to the task before");
	await press("Enter");
	await becomes(() => focused(page), "Title", "Enter edits");
	await page.keyboard.type("nothing of it");
	await press("Escape");
	await becomes(() => focused(page), "Edit two",
		"Esc cancels an edit, and the focus is back on the task");
	is(await titles(page), ["two", "one"], "a cancelled edit changes nothing");
	await press("Enter");
	await becomes(() => focused(page), "Title", "Enter edits the task again");
	await page.keyboard.type("TWO");
	await press("Enter");
	await becomes(() => titles(page), ["TWO", "one"], "Enter saves");
	await becomes(() => focused(page), "Edit TWO",
		"the focus is back on the task after saving");
	await press("Shift+Tab", "Space");
	await becomes(() => done(page, "TWO").isChecked(), true, "Space completes");
	await saved(page);
	await press("Delete");
	await becomes(() => titles(page), ["one"], "Delete deletes");
	is(await focused(page), "Completed: one",
		"the focus goes to the next task after a deletion");
	await press("Control+z");
	await becomes(() => titles(page), ["TWO", "one"], "Ctrl+Z undoes");
	await press("Tab", "ArrowUp", "ArrowUp", "ArrowUp");
	is(await focused(page), "New task",
		"the up arrow goes from the first task to the field for a new one");
	await page.keyboard.type("never mind");
	await press("Escape");
	is(await page.getByLabel("New task").inputValue(), "",
		"Esc empties the field for a new task");

	// Once around: each element with the focus has a name and a visible outline.
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
		"Title"], "Tab reaches every control, and each has a name");
	is([...new Set(stops.values())], ["solid 2px"], "the focus is always visible");
}

async function refused() {
	const { context, page } = await newcomer();
	await add(page, "   ");
	await becomes(() => page.getByRole("alert").innerText(),
		"Write a title first.\nDismiss", "a blank title is no title");
	await add(page, "\u200b\u3164\u2800");
	await becomes(() => page.getByRole("alert").innerText(),
		"Write a title first.\nDismiss",
			"a title of invisible characters is no title");
	await add(page, "é".repeat(201));
	await becomes(() => page.getByRole("alert").locator("span").textContent(),
		"A title has at most 200 characters; this one has 201.",
			"a title of 201 characters is too long");
	await add(page, "\u{1F600}".repeat(200));
	await saved(page);
	is(await titles(page), ["\u{1F600}".repeat(200)],
		"the page counts characters as the server does");

	// Only the server knows that a task does not exist any more.
	await add(page, "here");
	await saved(page);
	const other = await open(context);
	await remove(other, "here").click();
	await other.close();
	await becomes(() => elsewhere(context), ["\u{1F600}".repeat(200)],
		"the task is deleted in another tab");
	forgive(/404/);
	// (Not check(): it demands that the mark stays.)
	await done(page, "here").click();
	await becomes(() => page.getByRole("alert").locator("span").textContent(),
		"“here” was not saved: it was deleted elsewhere.",
		"a refused completion is explained");
	is(await titles(page), ["\u{1F600}".repeat(200)],
		"the deleted task is removed from the list");

	// A refused completion and a refused edit are taken back.
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
		"a refused completion is taken back");
	await page.getByRole("button", { name: "Dismiss" }).click();
	await edit(page, "as it was").click();
	await page.getByLabel("Title").fill("as it will not be");
	await page.getByLabel("Title").press("Enter");
	await page.getByText("“as it will not be” was not saved:").waitFor();
	await becomes(async () => (await titles(page))[0], "as it was",
		"a refused edit is taken back");
	await context.unroute("**/tasks/**", spoil);

	// A refused deletion is taken back.
	await context.route("**/tasks/**", async (route) =>
		route.request().method() === "DELETE"
			? route.fulfill({ status: 422, json: { detail: "No." } })
			: route.fallback());
	await stopClock(page);
	await remove(page, "as it was").click();
	is((await titles(page)).length, 1, "the deleted task is not shown");
	await page.clock.runFor(9_000);
	await becomes(() => page.getByRole("alert").locator("span").textContent(),
		"“as it was” was not deleted: No.", "a refused deletion is explained");
	is((await titles(page))[0], "as it was", "a refused deletion is taken back");
	await page.clock.resume();

	// A refused title goes back to the field where it was typed.
	await context.route("**/tasks", (route) => route.request().method() === "POST"
		? route.continue({ postData: '{"title":""}' }) : route.fallback());
	await add(page, "the server will not have it");
	await becomes(() => page.getByLabel("New task").inputValue(),
		"the server will not have it", "a refused title can be corrected");
	is((await titles(page))[0], "as it was", "a refused title is not in the list");
	await context.unroute("**/tasks");
	await page.getByRole("button", { name: "Try again" }).click();
	await saved(page);
	is((await titles(page))[0], "the server will not have it",
		"a refused title can be tried again");
	is(await page.getByLabel("New task").inputValue(), "",
		"the field is empty after trying again");
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
	is(await page.getByLabel("Title").inputValue(), title,
		"markup is text when edited");
	await page.getByLabel("Description").fill(title);
	await page.getByRole("button", { name: "Save" }).click();
	await saved(page);
	is(await row(page, title).locator(".more").textContent(), title,
		"markup is text in a description");
	is(await page.locator(".task img, .task script").count(), 0,
		"markup makes no element");
	await remove(page, title).click();
	await becomes(() => page.locator(".undo span").textContent(),
		`Deleted “${title}”.`, "markup is text in messages");
	is(await page.locator(".undo img").count(), 0,
		"markup makes no element in messages");
}

async function many() {
	const { context, page } = await newcomer();
	// With a token fetched here, since a script cannot get the page's own.
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
	is(made, 120, "120 tasks are created");
	await page.reload();
	await becomes(async () => (await titles(page)).length, 50,
		"the first page has 50 tasks");
	await page.getByRole("button", { name: "Load more" }).click();
	await becomes(async () => (await titles(page)).length, 100,
		"Load more shows 100 tasks");
	await page.getByRole("button", { name: "Load more" }).click();
	await becomes(() => titles(page), Array.from({ length: 120 },
		(_, i) => `task ${120 - i}`),
			"Load more shows all 120 tasks, newest first");
	is(await page.getByRole("button", { name: "Load more" }).count(), 0,
		"Load more goes away at the end");
	await page.goto(`${url}#pending`);
	await becomes(async () => (await titles(page)).length, 50,
		"the filter Pending shows 50 tasks");
	await stopClock(page);
	await page.getByRole("button", { name: "Clear completed" }).click();
	await page.getByText("Deleted 60 tasks.").waitFor();
	ok(true, "Clear completed deletes tasks that are not shown, too");
	await page.getByRole("button", { name: "Undo" }).click();
	await page.goto(`${url}#completed`);
	await becomes(async () => (await titles(page)).length, 50,
		"Undo brings them back");
	await page.getByRole("button", { name: "Clear completed" }).click();
	await page.getByText("Deleted 60 tasks.").waitFor();
	await page.clock.runFor(61_000);
	await becomes(() => elsewhere(context, "#completed"), [],
		"all completed tasks are deleted when the time to undo ends");
	is((await elsewhere(context, "#pending")).length, 50,
		"no pending task is deleted");
}

// Text typed into one task is not lost by opening another, or by a reload without
// a question.
async function twoEdits() {
	const { context, page } = await newcomer();
	await add(page, "one", "two");
	await saved(page);
	await edit(page, "one").click();
	await page.getByLabel("Title").fill("ONE");
	await edit(page, "two").click();
	await page.getByLabel("Title").first().fill("TWO");
	is(await page.getByLabel("Title").nth(1).inputValue(), "ONE",
		"two tasks can be edited at once");
	forgive(/^dialog: beforeunload $/);
	const asked = page.waitForEvent("dialog");
	await page.evaluate(() => setTimeout(() => location.reload()));
	is((await asked).type(), "beforeunload", "a reload asks first");
	await page.getByLabel("Title").nth(1).press("Enter");
	await page.getByLabel("Title").press("Enter");
	await saved(page);
	is(await elsewhere(context), ["TWO", "ONE"], "both edits are saved");
}

// A list that was requested before a task was added, and arrives after it.
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
		"false", "the late list has arrived");
	is(await titles(page), ["after", "before"],
		"the late list does not remove the new task");
}

await play({ firstTask, signInTrouble, works, undo, left, keyboard, refused, hostile, many,
	twoEdits, lateList });
