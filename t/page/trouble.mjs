// Goal: without a network, after a lost answer, and after a change by another person
// the page says so, no typed text is lost, and nothing is overwritten unseen.

import { accept, add, becomes, edit, elsewhere, focused, forgive, is, newcomer,
	ok, open, play, remove, saved, shot, stopClock, titles, until,
} from "./browser.mjs";

const banner = (page) => page.locator(".banner").textContent();

async function offline() {
	const { page, context } = await newcomer();
	await add(page, "before");
	await saved(page);
	forgive(/ERR_INTERNET_DISCONNECTED/);
	await context.setOffline(true);
	await page.getByText("You are offline.").waitFor();
	ok(true, "the page says that it is offline");
	await add(page, "on the train", "in the tunnel", "at the border");
	await page.getByLabel("New task").fill("half typed");
	await shot(page, "offline");
	const all = ["at the border", "in the tunnel", "on the train", "before"];
	is(await titles(page), all, "tasks added offline are shown");
	let together = 0, most = 0;
	const count = async (route) => {
		most = Math.max(most, ++together);
		const response = await route.fetch();
		together--;
		await route.fulfill({ response });
	};
	await context.route("**/tasks", count);
	await context.setOffline(false);
	await saved(page);
	await context.unroute("**/tasks", count);
	is(most, 1, "tasks added offline are sent one after the other");
	await becomes(() => banner(page), "", "the message goes away online");
	is(await page.getByLabel("New task").inputValue(), "half typed",
		"a half typed title is still there");
	is(await titles(page), all, "tasks added offline are saved in order");
	is(await elsewhere(context), all,
		"tasks added offline are on the server in order");

	// A reload before tasks are known to be saved: the tab asks first, remembers them
	// and sends them once. The first task reaches the server, but its answer is lost.
	let sent = 0;
	await context.route("**/tasks", async (route) => {
		if (route.request().method() !== "POST")
			return route.fallback();
		if (!sent++)
			await route.fetch();
		return route.abort("internetdisconnected");
	});
	await add(page, "not answered", "not sent", "nor this");
	await until(() => sent > 1);
	await context.unroute("**/tasks");
	accept("beforeunload");
	const asked = page.waitForEvent("dialog");
	await page.reload();
	ok(await asked, "the page asks before it is left with unsaved tasks");
	all.unshift("nor this", "not sent", "not answered");
	await becomes(() => titles(page), all,
		"a reloaded page has the unsaved tasks");
	await saved(page);
	is(await elsewhere(context), all,
		"a reloaded page sends the unsaved tasks once");
}

// A write that is done although its answer is lost.
async function lostAnswer() {
	const { page, context } = await newcomer();
	forgive(/ERR_FAILED|ERR_CONNECTION|412/);
	let lost = 0;
	await context.route("**/tasks**", async (route) => {
		const lose = route.request().method() !== "GET" && lost++ === 0;
		const response = await route.fetch();
		await (lose ? route.abort() : route.fulfill({ response }));
	});
	await add(page, "once");
	await saved(page);
	ok(lost >= 2, "a new task without an answer is sent again");
	lost = 0;
	await edit(page, "once").click();
	await page.getByLabel("Title").fill("once, edited");
	await page.getByLabel("Title").press("Enter");
	await saved(page);
	ok(lost >= 2, "an edit without an answer is sent again");
	is(await page.getByRole("dialog").count(), 0,
		"an edit that is sent again is not a conflict");
	await page.reload();
	await becomes(() => titles(page), ["once, edited"], "there is one task");
}

// The same task edited in two tabs.
async function conflict() {
	const { page, context } = await newcomer();
	await add(page, "as it was");
	await saved(page);
	let title = "as it was";
	const tab = await open(context);
	forgive(/412/);

	const clash = async (mine, theirs) => {
		await page.reload();
		await edit(page, title).click();
		await page.getByLabel("Title").fill(mine);
		await tab.reload();
		await edit(tab, title).click();
		await tab.getByLabel("Title").fill(theirs);
		await tab.getByLabel("Title").press("Enter");
		await saved(tab);
		await page.getByLabel("Title").press("Enter");
		await page.getByRole("dialog").waitFor();
		is(await page.getByRole("dialog").locator(".title").allTextContents(),
			[mine, theirs], "both versions are shown");
	};

	await clash("mine 1", "theirs 1");
	await shot(page, "conflict");
	is(await focused(page), "Edit again", "a second Enter chooses nothing");
	await page.keyboard.press("Shift+Tab");
	await page.keyboard.press("Shift+Tab");
	is(await focused(page), "Keep mine", "the keyboard reaches every choice");
	await page.keyboard.press("Enter");
	await saved(page);
	is(await focused(page), "Edit mine 1", "the focus is back on the task");
	await tab.reload();
	await becomes(() => titles(tab), ["mine 1"], "the own version can be kept");

	title = "mine 1";
	await clash("mine 2", "theirs 2");
	await page.getByRole("button", { name: "Take the other" }).click();
	await becomes(() => titles(page), ["theirs 2"],
		"the other version can be taken");
	await tab.reload();
	await becomes(() => titles(tab), ["theirs 2"],
		"the other version is still on the server");

	title = "theirs 2";
	await clash("mine 3", "theirs 3");
	await page.keyboard.press("Escape");
	is(await page.getByLabel("Title").inputValue(), "mine 3",
		"Esc goes back to editing with the own text");
	await page.getByLabel("Title").fill("both 3");
	await page.getByLabel("Title").press("Enter");
	await saved(page);
	await tab.reload();
	await becomes(() => titles(tab), ["both 3"], "the edit after Esc is saved");

	// A task that is deleted elsewhere: the edited text is not lost.
	forgive(/404/);
	await edit(page, "both 3").click();
	await page.getByLabel("Title").fill("still wanted");
	await remove(tab, "both 3").click();
	await tab.goto("about:blank");
	await becomes(() => elsewhere(context), [],
		"the task is deleted in the other tab");
	await page.getByLabel("Title").press("Enter");
	await page.getByText("was deleted elsewhere").waitFor();
	await page.getByRole("button", { name: "Add it again" }).click();
	await saved(page);
	is(await titles(page), ["still wanted"],
		"the edit of a deleted task can be added as a new task");
	is(await elsewhere(context), ["still wanted"],
		"the edit of a deleted task is on the server");
}

// 503 with Retry-After: the page waits for that time. The clock of the page stands
// still, except where the scene moves it.
async function retryAfter() {
	const { page, context } = await newcomer();
	forgive(/503/);
	let tries, headers;
	await context.route("**/tasks", (route) => {
		if (route.request().method() !== "POST" || tries++)
			return route.fallback();
		return route.fulfill({ status: 503, headers });
	});
	await stopClock(page);
	const time = await page.evaluate(() => Date.now());
	for (const [wait, name, value] of [[3, "seconds", "3"], [60, "a minute", "60"],
			[30, "until a date", new Date(time + 97_000).toUTCString()],
			[2, "nothing said"]]) {
		tries = 0;
		headers = value ? { "retry-after": value } : {};
		await add(page, name);
		await page.getByText("The server is not available right now.").waitFor();
		await page.clock.runFor((wait - 2) * 1000);
		is(tries, 1, `${name}: the page waits`);
		await page.clock.runFor(4_000);
		await saved(page);
		is(tries, 2, `${name}: the page tries again`);
		await becomes(() => banner(page), "", `${name}: the message goes away`);
	}
	is(await elsewhere(context), ["nothing said", "until a date", "a minute",
		"seconds"], "each task was added once");
}

await play({ offline, lostAnswer, conflict, retryAfter });
