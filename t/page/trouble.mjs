// Goal: the network away, an answer lost, somebody else's change: it is said,
// nothing that was typed is lost, and nothing is overwritten unseen.

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
	is(await titles(page), all, "what is added is shown");
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
	is(most, 1, "one is sent after the other");
	await becomes(() => banner(page), "", "back online");
	is(await page.getByLabel("New task").inputValue(), "half typed",
		"what was being typed is there");
	is(await titles(page), all, "all was saved, in this order");
	is(await elsewhere(context), all, "on the server, too");

	// A reload before it is known to be saved: the tab asks, remembers, and
	// sends it, once; the first of these gets through without an answer.
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
	ok(await asked, "leaving with something unsaved is asked about");
	all.unshift("nor this", "not sent", "not answered");
	await becomes(() => titles(page), all,
		"a reload remembers it");
	await saved(page);
	is(await elsewhere(context), all, "and sends it once");
}

// A write that got through although the answer did not.
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
	ok(lost >= 2, "the answer to adding is lost, and it is sent again");
	lost = 0;
	await edit(page, "once").click();
	await page.getByLabel("Title").fill("once, edited");
	await page.getByLabel("Title").press("Enter");
	await saved(page);
	ok(lost >= 2, "and the answer to an edit");
	is(await page.getByRole("dialog").count(), 0,
		"which is not taken for somebody else's");
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
	is(await focused(page), "Edit again", "an Enter too many chooses nothing");
	await page.keyboard.press("Shift+Tab");
	await page.keyboard.press("Shift+Tab");
	is(await focused(page), "Keep mine", "but the keyboard can");
	await page.keyboard.press("Enter");
	await saved(page);
	is(await focused(page), "Edit mine 1", "and is back where it was");
	await tab.reload();
	await becomes(() => titles(tab), ["mine 1"], "mine can be kept");

	title = "mine 1";
	await clash("mine 2", "theirs 2");
	await page.getByRole("button", { name: "Take the other" }).click();
	await becomes(() => titles(page), ["theirs 2"], "the other can be taken");
	await tab.reload();
	await becomes(() => titles(tab), ["theirs 2"], "and stays");

	title = "theirs 2";
	await clash("mine 3", "theirs 3");
	await page.keyboard.press("Escape");
	is(await page.getByLabel("Title").inputValue(), "mine 3",
		"Esc goes back to editing, with the text");
	await page.getByLabel("Title").fill("both 3");
	await page.getByLabel("Title").press("Enter");
	await saved(page);
	await tab.reload();
	await becomes(() => titles(tab), ["both 3"], "and to saving");

	// Deleted elsewhere: the text is not lost.
	forgive(/404/);
	await edit(page, "both 3").click();
	await page.getByLabel("Title").fill("still wanted");
	await remove(tab, "both 3").click();
	await tab.goto("about:blank");
	await becomes(() => elsewhere(context), [], "deleted in the other tab");
	await page.getByLabel("Title").press("Enter");
	await page.getByText("was deleted elsewhere").waitFor();
	await page.getByRole("button", { name: "Add it again" }).click();
	await saved(page);
	is(await titles(page), ["still wanted"], "an edit of a deleted task can be added");
	is(await elsewhere(context), ["still wanted"], "again");
}

// 503 with Retry-After: as long as it says, and not sooner. The page's clock
// stands still but where it is told to go on.
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
		is(tries, 1, `${name}: it waits`);
		await page.clock.runFor(4_000);
		await saved(page);
		is(tries, 2, "and tries again");
		await becomes(() => banner(page), "", "and then it says no more");
	}
	is(await elsewhere(context), ["nothing said", "until a date", "a minute",
		"seconds"], "each was added once");
}

await play({ offline, lostAnswer, conflict, retryAfter });
