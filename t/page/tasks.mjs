// Goal: a person signs up and keeps tasks, by mouse and by keyboard alone; what
// the server refuses is taken back; text is text.

import { add, becomes, done, edit, fillIn, focused, forgive, is, newcomer,
	ok, open, person, play, remove, row, saved, shot, signUp, titles, url,
} from "./browser.mjs";

// Titles as another tab of the same person sees them, and so the server.
async function elsewhere(context, hash = "") {
	const page = await open(context, hash);
	await page.locator("ul.tasks[aria-busy=false]")
		.waitFor({ state: "attached" });
	const seen = await titles(page);
	await page.close();
	return seen;
}

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
	await add(page, "Buy milk");
	is(await titles(page), ["Buy milk"], "Enter adds, at once");
	await saved(page);
	is(await elsewhere(context), ["Buy milk"], "and the server has it");

	const cookies = await context.cookies();
	is(cookies.filter((c) => !c.name.startsWith("__Secure-") || !c.httpOnly
		|| !c.secure), [], "cookies are __Secure- and HttpOnly");

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

	await remove(page, "three").click();
	is(await titles(page), ["two", "one, better"], "deleted from sight");
	await shot(page, "undo");
	is(await elsewhere(context), ["three", "two", "one, better"],
		"but not yet from the server");
	await page.getByRole("button", { name: "Undo" }).click();
	is(await titles(page), ["three", "two", "one, better"], "undo brings it back");

	await remove(page, "three").click();
	await becomes(() => elsewhere(context), ["two", "one, better"],
		"when the time to undo ends, it is deleted");
	is(await page.getByRole("button", { name: "Undo" }).count(), 0,
		"and cannot be undone any more");

	await page.getByRole("button", { name: "Clear completed" }).click();
	await becomes(() => titles(page), ["one, better"], "clear completed");
	await page.goto("about:blank");
	await becomes(() => elsewhere(context), ["one, better"],
		"leaving the page deletes what could have been undone");
}

async function keyboard() {
	const { page } = await newcomer();
	const press = async (...keys) => {
		for (const key of keys)
			await page.keyboard.press(key);
	};
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
	await becomes(() => page.evaluate(() => document.activeElement.id),
		"edit-title", "Enter edits");
	await page.keyboard.type("nothing of it");
	await press("Escape");
	await becomes(() => focused(page), "Edit two",
		"Esc cancels, back where it began");
	is(await titles(page), ["two", "one"], "and nothing has changed");
	await press("Enter");
	await becomes(() => page.evaluate(() => document.activeElement.id),
		"edit-title", "editing again");
	await page.keyboard.type("TWO");
	await press("Enter");
	await becomes(() => titles(page), ["TWO", "one"], "Enter saves");
	await becomes(() => focused(page), "Edit TWO", "and goes back to the row");
	await press("Shift+Tab", "Space");
	await becomes(() => done(page, "TWO").isChecked(), true, "Space completes");
	is(await page.evaluate(() => getComputedStyle(document.activeElement)
		.outlineStyle), "solid", "the focus can be seen");
	await saved(page);
	await press("Delete");
	await becomes(() => titles(page), ["one"], "Delete deletes");
	is(await focused(page), "Completed: one", "and the focus goes on");
	await press("Control+z");
	await becomes(() => titles(page), ["TWO", "one"], "Ctrl+Z undoes");
	await press("Tab", "ArrowUp", "ArrowUp", "ArrowUp");
	is(await page.evaluate(() => document.activeElement.id), "new",
		"arrows go up to the new task");
	await page.keyboard.type("never mind");
	await press("Escape");
	is(await page.getByLabel("New task").inputValue(), "", "Esc empties it");
}

async function refused() {
	const { context, page } = await newcomer();
	await add(page, "   ");
	await becomes(() => page.getByRole("alert").innerText(),
		"Write a title first.\nDismiss", "a blank title is no title");
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
	await becomes(() => page.getByRole("alert").locator("span").textContent()
		.then((text) => text.startsWith("“here” was not saved:")), true,
	"what the server refuses is said");
	is(await titles(page), ["\u{1F600}".repeat(200)], "and taken back");

	// A title that the server refuses goes back to where it was typed.
	forgive(/422/);
	await context.route("**/tasks", (route) => route.request().method() === "POST"
		? route.continue({ postData: '{"title":""}' }) : route.fallback());
	await add(page, "the server will not have it");
	await becomes(() => page.getByLabel("New task").inputValue(),
		"the server will not have it", "a refused title can be corrected");
	is(await titles(page), ["\u{1F600}".repeat(200)], "and is not in the list");
}

async function hostile() {
	const { page } = await newcomer();
	const title = "<img src=x onerror=alert(1)>";
	await add(page, title, "<script>alert(2)</script>", "javascript:alert(3)");
	await saved(page);
	await page.reload();
	await becomes(() => titles(page), ["javascript:alert(3)",
		"<script>alert(2)</script>", title], "markup is text");
	is(await page.locator(".task img, .task script").count(), 0, "and no element");
	await edit(page, title).click();
	is(await page.getByLabel("Title").inputValue(), title, "in editing as well");
	await page.keyboard.press("Escape");
	await remove(page, title).click();
	await becomes(() => page.locator(".undo span").textContent(),
		`Deleted “${title}”.`, "and in messages");
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
	await page.getByRole("button", { name: "Clear completed" }).click();
	await page.getByText("Deleted 60 tasks.").waitFor();
	ok(true, "clear completed takes those not on the page, too");
	await page.getByRole("button", { name: "Undo" }).click();
	await page.goto(`${url}#completed`);
	await becomes(async () => (await titles(page)).length, 50, "and undo gives back");
	await page.getByRole("button", { name: "Clear completed" }).click();
	await page.getByText("Deleted 60 tasks.").waitFor();
	await page.waitForTimeout(9_000);
	await becomes(() => elsewhere(context, "#completed"), [],
		"when the time to undo ends, all are deleted");
}

await play({ firstTask, works, keyboard, refused, hostile, many });
