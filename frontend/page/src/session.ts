// Who is signed in. Tabs of one browser tell one another about sign-ins and
// sign-outs.

import { createAuthClient } from "better-auth/client";
import { jwtClient } from "better-auth/client/plugins";
import { createAuthFetch, type User, type Waiting } from "./auth-fetch";
import { createStore } from "./store";
import { TaskList } from "./task-list";

export interface Session {
	// Why the page asks for a sign-in; null: it does not ask.
	signIn: null | "first" | "ended" | "signed-out";
	user: User | null;
	list: TaskList | null;
	waiting: Waiting | null;
	// Another user signed in while this page was open.
	switched: boolean;
}

const client = createAuthClient({ plugins: [jwtClient()] });
const tabs = new BroadcastChannel("todo-session");

export const session = createStore<Session>({
	signIn: null, user: null, list: null, waiting: null, switched: false,
});

// Resolves the promise that auth waits for.
let resolveSignIn: (() => void) | null = null;
let signedOut = false;

export const auth = createAuthFetch({
	// Where perhaps nobody is signed in, asks for the session first: it is 200 then,
	// but a token is 401, and the browser logs an error for each 401.
	async token() {
		const { signIn, user } = session.get();
		if (user && !signIn && !signedOut)
			return client.token();
		const { data, error } = await client.getSession();
		return data ? client.token()
			: { data: null, error: error ?? { status: 401 } };
	},

	signIn() {
		const { user } = session.get();
		session.set({ signIn: signedOut ? "signed-out" : user ? "ended" : "first" });
		return new Promise((resolve) => { resolveSignIn = resolve; });
	},

	// Closes the list of the user before.
	onUser(user) {
		const before = session.get();
		before.list?.close();
		session.set({ user, list: new TaskList(user.id, auth),
			switched: before.user !== null && !signedOut });
	},

	onWaiting(waiting) {
		if (waiting !== session.get().waiting)
			session.set({ waiting });
	},
});

async function open() {
	const user = await auth.user();
	signedOut = false;
	session.set({ signIn: null });
	// onUser is not called for a sign-out and sign-in of the same user.
	if (!session.get().list)
		session.set({ user, list: new TaskList(user.id, auth) });
}

interface Refusal {
	status: number;
	code?: string;
}

// Texts for the codes of Better Auth and of issuer/body.js. Better Auth's own
// messages are for programs: "[body.email] Invalid email address".
const ADDRESS = "That is not a whole e-mail address, such as ada@example.org.";
const TEXTS: Record<string, string> = {
	INVALID_EMAIL_OR_PASSWORD: "Invalid email or password",
	INVALID_EMAIL: ADDRESS,
	// Of the values that the page sends, only the address can be malformed.
	VALIDATION_ERROR: ADDRESS,
	EMAIL_TOO_LONG: "That e-mail address is too long: at most 255 characters.",
	NAME_TOO_LONG: "That e-mail address is too long: at most 255 characters.",
	PASSWORD_TOO_SHORT: "That password is too short: at least 8 characters.",
	PASSWORD_TOO_LONG: "That password is too long: at most 128 characters.",
	USER_ALREADY_EXISTS: "There is an account with that address already. "
		+ "Sign in instead.",
	USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL: "There is an account with that "
		+ "address already. Sign in instead.",
	INVALID_ORIGIN: "The server does not know this page's address: whoever "
		+ "runs it must set BETTER_AUTH_URL to it.",
};

// A text for the user, or null if there is no error.
function textOf(error: Refusal | null) {
	if (!error)
		return null;
	if (error.status === 429)
		return "Too many attempts. Wait ten seconds, then try again.";
	if (error.status >= 500)
		return "The server is not available right now. Try again in a moment.";
	return TEXTS[error.code ?? ""] ?? "That did not work.";
}

// Goes on with the list once the sign-in has succeeded; otherwise returns a text
// for the user.
async function finishSignIn(answer: Promise<{ error: Refusal | null }>) {
	let failed;
	try {
		failed = textOf((await answer).error);
	} catch {
		failed = navigator.onLine ? "The server cannot be reached."
			: "You are offline.";
	}
	if (failed)
		return failed;
	tabs.postMessage("in");
	resolveSignIn?.();
	await open();
	return null;
}

export function signIn(email: string, password: string) {
	return finishSignIn(client.signIn.email({ email, password }));
}

export function signUp(email: string, password: string) {
	// Better Auth requires a name. The page neither asks for one nor shows it.
	return finishSignIn(client.signUp.email({ email, password,
		name: email.split("@")[0]! }));
}

// Returns null, or a text for the user. `anyway`: signing out is possible all the
// same.
export async function signOut(anyway = false) {
	const { list } = session.get();
	// Also sends deletions that could still be undone.
	if (list && !await list.settle() && !anyway)
		return { text: "Not everything is saved yet. If you sign out now, "
			+ "it is lost.", anyway: true };
	const { error } = await client.signOut()
		.catch(() => ({ error: { status: 0 } }));
	if (error)
		return { text: "Signing out did not work: the server cannot be "
			+ "reached.", anyway: false };
	tabs.postMessage("out");
	askForNextUser();
	return null;
}

function askForNextUser() {
	signedOut = true;
	auth.forget();
	session.get().list?.close(true);
	session.set({ list: null });
	open();
}

tabs.onmessage = ({ data }) => {
	const { signIn } = session.get();
	if (data === "out" && !signIn)
		askForNextUser();
	else if (data === "in" && signIn) {
		resolveSignIn?.();
		open();
	} else if (data === "in")
		auth.refresh();
};

// A page that comes back from the browser's cache may show another user's tasks.
addEventListener("pageshow", (event) => {
	if (event.persisted)
		auth.refresh();
});

addEventListener("offline", () => session.set({ waiting: "offline" }));
addEventListener("online", () => {
	session.set({ waiting: null });
	session.get().list?.refresh();
});

export function start() {
	open();
}
