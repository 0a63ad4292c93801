// authFetch: fetch() for an API that wants Better Auth's token, so that nobody
// ever notices that tokens expire.
//
// This file depends on nothing else here; copy it into any front end:
//
//     const authClient = createAuthClient({ plugins: [jwtClient()] });
//     const auth = createAuthFetch({
//         token: () => authClient.token(),
//         signIn: () => showSignInAndWaitForIt(),
//         onUser: (user) => showThePageOf(user),
//         onWaiting: (reason) => say(reason),
//     });
//     const { id } = await auth.user();
//     const response = await auth.fetch(id, `/api/${id}/tasks`);
//
// - The token lives in this closure, and nowhere else.
// - It is renewed shortly before it runs out, and once after any 401, whereupon
//   the request is repeated once. Whoever needs a new token at the same time
//   shares one renewal.
// - A request is made in the name of one user. If the token turns out to be
//   another's, because somebody else signed in in this browser, nothing is
//   sent, and the request fails with UserChanged.
// - If the session has ended, requests wait until signIn() says that somebody
//   is signed in again.
// - Without network, and while the server asks for patience (429, 502, 503,
//   504), requests wait, for as long as Retry-After says, and are repeated. A
//   POST is given an Idempotency-Key, so that it counts once however often it
//   is sent. What else is sent must do the same when it is done twice: a PATCH
//   that sets, not one that toggles.
// - The answer is the server's; 401 only if a fresh token is refused too.

export interface User {
	id: string;
	email: string;
}

export type Waiting = "offline" | "unavailable";

export interface AuthFetchOptions {
	// Asks for a token by the session cookie: Better Auth's client.token().
	// Status 401 says that nobody is signed in.
	token(): Promise<{
		data: { token: string } | null;
		error: { status: number } | null;
	}>;
	// Has somebody sign in; resolves when that is done.
	signIn(): Promise<void>;
	// Told whose token it is, when that changes, before any request goes out.
	onUser(user: User): void;
	// Told what requests are waiting for, and null when none waits any more.
	onWaiting?(reason: Waiting | null): void;
}

export type AuthFetch = ReturnType<typeof createAuthFetch>;

export class UserChanged extends Error {
	constructor() {
		super("Somebody else is signed in now");
	}
}

interface Access {
	token: string;
	user: User;
	renewAt: number;
}

const PATIENCE = new Set([429, 502, 503, 504]);
const WAIT_MIN_MS = 1_000;
const WAIT_MAX_MS = 15_000;
// Whoever asks for more than this has most likely made a mistake.
const ASKED_MAX_MS = 300_000;
const MARGIN_MAX_MS = 60_000;

function readToken(token: string): Access {
	const segment = token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
	const bytes = Uint8Array.from(atob(segment), (c) => c.charCodeAt(0));
	const claims = JSON.parse(new TextDecoder().decode(bytes));
	// By this machine's clock, which may not be the issuer's: what counts is
	// how long the token lives, and that it has just been made.
	const lifetime = (claims.exp - claims.iat) * 1000;
	return {
		token,
		user: { id: claims.user_id, email: claims.user_email },
		renewAt: Date.now() + lifetime - Math.min(MARGIN_MAX_MS, lifetime / 4),
	};
}

// Retry-After (RFC 9110 10.2.3), seconds or a date, in milliseconds.
function retryAfter(response: Response): number | undefined {
	const value = response.headers.get("Retry-After") || "none";
	const wait = /^\d+$/.test(value) ? Number(value) * 1000
		: Date.parse(value) - Date.now();
	return Number.isNaN(wait) ? undefined : Math.min(ASKED_MAX_MS, wait);
}

export function createAuthFetch(options: AuthFetchOptions) {
	let access: Access | null = null;
	let userId: string | null = null;
	let renewal: Promise<Access> | null = null;
	let forgotten = 0;
	let waiting = 0;

	// Waits before attempt + 1: as long as the server asked for, otherwise
	// longer each time; without network until it is back, or to have a look.
	async function pause(attempt: number, asked?: number) {
		const wait = Math.max(WAIT_MIN_MS,
			asked ?? Math.min(WAIT_MAX_MS, WAIT_MIN_MS * 2 ** attempt));
		waiting++;
		options.onWaiting?.(navigator.onLine ? "unavailable" : "offline");
		await new Promise<void>((resolve) => {
			const done = () => {
				clearTimeout(timer);
				removeEventListener("online", done);
				resolve();
			};
			const timer = setTimeout(done, wait);
			addEventListener("online", done);
		});
		waiting--;
	}

	function arrived() {
		if (waiting === 0)
			options.onWaiting?.(null);
	}

	async function obtain(): Promise<Access> {
		for (let attempt = 0; ; attempt++) {
			const before = forgotten;
			const { data, error } = await options.token()
				.catch(() => ({ data: null, error: { status: 0 } }));
			// A token asked for before somebody signed out is nobody's.
			if (before !== forgotten)
				continue;
			if (data) {
				arrived();
				access = readToken(data.token);
				if (access.user.id !== userId) {
					userId = access.user.id;
					options.onUser(access.user);
				}
				return access;
			}
			access = null;
			if (error?.status === 401) {
				arrived();
				await options.signIn();
				attempt = -1;
			} else {
				await pause(attempt);
			}
		}
	}

	function renew(): Promise<Access> {
		renewal ??= obtain().finally(() => { renewal = null; });
		return renewal;
	}

	function current(): Promise<Access> | Access {
		return access && Date.now() < access.renewAt ? access : renew();
	}

	function request(access: Access, url: URL, init: RequestInit,
			key: string | undefined) {
		const headers = new Headers(init.headers);
		headers.set("Authorization", `Bearer ${access.token}`);
		if (key && !headers.has("Idempotency-Key"))
			headers.set("Idempotency-Key", key);
		return fetch(url, { ...init, headers,
			cache: "no-store", credentials: "omit", redirect: "error" });
	}

	// The token is for our own server alone.
	function ownUrl(path: string): URL {
		const url = new URL(path, location.href);
		if (url.origin !== location.origin)
			throw new TypeError("not an address of this server");
		return url;
	}

	return {
		// Who is signed in, after signing in if nobody is.
		async user(): Promise<User> {
			return (await current()).user;
		},

		// Looks again who is signed in, as after another tab has signed out.
		async refresh(): Promise<User> {
			return (await renew()).user;
		},

		// Forgets the token: on signing out.
		forget() {
			forgotten++;
			access = null;
		},

		async fetch(user: string, path: string, init: RequestInit = {}) {
			const url = ownUrl(path);
			const key = init.method?.toUpperCase() === "POST"
				? crypto.randomUUID() : undefined;
			let renewed = false;
			for (let attempt = 0; ; ) {
				const used = await current();
				if (used.user.id !== user)
					throw new UserChanged();
				const response = await request(used, url, init, key)
					.catch((error) => {
						if (init.signal?.aborted)
							throw error;
						return null;
					});
				if (response && !PATIENCE.has(response.status)) {
					arrived();
					if (response.status !== 401 || renewed)
						return response;
					renewed = true;
					// Unless another request has done so already.
					if (access?.token === used.token)
						access = null;
				} else {
					await pause(attempt++, response ? retryAfter(response)
						: undefined);
					renewed = false;
				}
			}
		},

		// A request that outlives the page; nobody is there for the answer.
		last(user: string, path: string, init: RequestInit = {}) {
			if (access?.user.id === user)
				request(access, ownUrl(path), { ...init, keepalive: true },
					undefined).catch(() => {});
		},
	};
}
