// Goal: the page explains in plain words what Better Auth refuses.

import { becomes, fillIn, forgive, newcomer, ok, open, person, play } from "./browser.mjs";

// Browsers accept all of these as addresses.
async function signUpRefused() {
	const { email } = await newcomer();
	const page = await open(await person());
	await page.getByRole("button", { name: "Sign up" }).click();
	forgive(/4(00|22) .*sign-up\/email/);
	for (const [address, words] of [
		["ada@localhost",
			"That is not a whole e-mail address, such as ada@example.org."],
		[`ada@${"x".repeat(60)}.`.padEnd(330, `${"x".repeat(60)}.`) + "org",
			"That e-mail address is too long: at most 255 characters."],
		[email, "There is an account with that address already. Sign in instead."],
	]) {
		await fillIn(page, address);
		await becomes(() => page.locator("#problem").textContent(), words,
			`refused: ${address.slice(0, 20)}`);
	}
	const text = await page.locator("body").textContent();
	ok(!/body\.|VALIDATION|_/.test(text), "the page shows no message meant for programs", text);
}

await play({ signUpRefused });
