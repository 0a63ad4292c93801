// Who is signed in, in this tab and, told by the others, in this browser.

import { createAuthClient } from "better-auth/client";
import { jwtClient } from "better-auth/client/plugins";
import { createAuthFetch, type User, type Waiting } from "./auth-fetch";
import { createStore } from "./store";
import { TaskList } from "./task-list";

export interface Session {
	// Nobody is signed in, and the page asks for it.
	signIn: null | "first" | "ended" | "left";
	user: User | null;
	list: TaskList | null;
	waiting: Waiting | null;
	// Somebody else signed in while this page was open.
	switched: boolean;
}

const client = createAuthClient({ plugins: [jwtClient()] });
const tabs = new BroadcastChannel("todo-session");

export const session = createStore<Session>({
	signIn: null, user: null, list: null, waiting: null, switched: false,
});

// Lets those go on who wait for somebody to sign in.
let signedIn: (() => void) | null = null;
let left = false;

export const auth = createAuthFetch({
	// Where nobody is known to be signed in, asking for a token might be
	// refused, and the browser would log an error.
	async token() {
		const { signIn, user } = session.get();
		if (user && !signIn && !left)
			return client.token();
		const { data, error } = await client.getSession();
		return data ? client.token()
			: { data: null, error: error ?? { status: 401 } };
	},

	signIn() {
		const { user } = session.get();
		session.set({ signIn: left ? "left" : user ? "ended" : "first" });
		return new Promise((resolve) => { signedIn = resolve; });
	},

	// The list of the one before is gone before anything is done for this one.
	onUser(user) {
		const before = session.get();
		before.list?.close();
		session.set({ user, list: new TaskList(user.id, auth),
			switched: before.user !== null && !left });
	},

	onWaiting(waiting) {
		if (waiting !== session.get().waiting)
			session.set({ waiting });
	},
});

async function open() {
	const user = await auth.user();
	left = false;
	session.set({ signIn: null });
	// A page signed out and in again as the same person has lost its list.
	if (!session.get().list)
		session.set({ user, list: new TaskList(user.id, auth) });
}

interface Refusal {
	status: number;
	code?: string;
}

// Better Auth's codes, and those of issuer/body.js, in words. Its own messages
// are for programs: "[body.email] Invalid email address".
const ADDRESS = "That is not a whole e-mail address, such as ada@example.org.";
const WORDS: Record<string, string> = {
	INVALID_EMAIL_OR_PASSWORD: "Invalid email or password",
	INVALID_EMAIL: ADDRESS,
	// Of what the form sends, only the address can be of a wrong shape.
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

// What went wrong, for people; or null.
function problem(error: Refusal | null) {
	if (!error)
		return null;
	if (error.status === 429)
		return "Too many attempts. Wait ten seconds, then try again.";
	if (error.status >= 500)
		return "The server is not available right now. Try again in a moment.";
	return WORDS[error.code ?? ""] ?? "That did not work.";
}

async function enter(answer: Promise<{ error: Refusal | null }>) {
	let failed;
	try {
		failed = problem((await answer).error);
	} catch {
		failed = navigator.onLine ? "The server cannot be reached."
			: "You are offline.";
	}
	if (failed)
		return failed;
	tabs.postMessage("in");
	signedIn?.();
	await open();
	return null;
}

export function signIn(email: string, password: string) {
	return enter(client.signIn.email({ email, password }));
}

export function signUp(email: string, password: string) {
	// Better Auth wants a name; the page asks for none and shows the address.
	return enter(client.signUp.email({ email, password,
		name: email.split("@")[0]! }));
}

// What went wrong, and whether it could be done nevertheless; or null.
export async function signOut(anyway = false) {
	const { list } = session.get();
	// What was done is done: deletions that could still be undone, too.
	if (list && !await list.settle() && !anyway)
		return { text: "Not everything is saved yet. If you sign out now, "
			+ "it is lost.", anyway: true };
	const { error } = await client.signOut()
		.catch(() => ({ error: { status: 0 } }));
	if (error)
		return { text: "Signing out did not work: the server cannot be "
			+ "reached.", anyway: false };
	tabs.postMessage("out");
	leave();
	return null;
}

function leave() {
	left = true;
	auth.forget();
	session.get().list?.close(true);
	session.set({ list: null });
	open();
}

tabs.onmessage = ({ data }) => {
	const { signIn } = session.get();
	if (data === "out" && !signIn)
		leave();
	else if (data === "in" && signIn) {
		signedIn?.();
		open();
	} else if (data === "in")
		auth.refresh();
};

// A page that comes back from the browser's cache shows what was; look again.
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
