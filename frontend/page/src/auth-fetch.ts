// fetch() for an API that requires Better Auth's token, without the caller having
// to care that tokens expire.
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
// - The token is kept in this closure and nowhere else.
// - The token is renewed shortly before it expires, and once after a 401; the
//   request is then repeated once. Requests that need a new token at the same
//   time share one renewal.
// - A request is made in the name of one user. If the token is another user's,
//   because somebody else has signed in with this browser, nothing is sent, and
//   the request fails with UserChanged.
// - If the session has ended, requests wait until signIn() resolves.
// - Without a network, and after 429, 502, 503 and 504, requests wait as long as
//   Retry-After says and are repeated. A POST gets an Idempotency-Key, so it takes
//   effect once. Every other request must have the same effect when it is sent
//   twice: a PATCH that sets, not one that toggles.
// - fetch() resolves to the server's response; to a 401 only if a new token is
//   refused too.

export interface User {
	id: string;
	email: string;
}

export type Waiting = "offline" | "unavailable";

export interface AuthFetchOptions {
	// Gets a token with the session cookie: Better Auth's client.token().
	// Status 401 means that nobody is signed in.
	token(): Promise<{
		data: { token: string } | null;
		error: { status: number } | null;
	}>;
	// Asks for a sign-in; resolves when somebody is signed in.
	signIn(): Promise<void>;
	// Called when the token is another user's than before, and before a request
	// is sent with it.
	onUser(user: User): void;
	// Called with what requests wait for, or null when no request waits.
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

const RETRIED_STATUSES = new Set([429, 502, 503, 504]);
const WAIT_MIN_MS = 1_000;
const WAIT_MAX_MS = 15_000;
// A longer Retry-After is most likely a mistake.
const RETRY_AFTER_MAX_MS = 300_000;
// How long before its expiry a token is renewed, at most.
const RENEWAL_MAX_MS = 60_000;

function readToken(token: string): Access {
	const segment = token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
	const bytes = Uint8Array.from(atob(segment), (c) => c.charCodeAt(0));
	const claims = JSON.parse(new TextDecoder().decode(bytes));
	// The token has just been issued. Its expiry is computed from its lifetime,
	// because this machine's clock may differ from the issuer's.
	const lifetime = (claims.exp - claims.iat) * 1000;
	return {
		token,
		user: { id: claims.user_id, email: claims.user_email },
		renewAt: Date.now() + lifetime - Math.min(RENEWAL_MAX_MS, lifetime / 4),
	};
}

// Retry-After (RFC 9110 10.2.3), which is seconds or a date, in milliseconds.
function retryAfterMs(response: Response): number | undefined {
	const value = response.headers.get("Retry-After") || "none";
	const wait = /^\d+$/.test(value) ? Number(value) * 1000
		: Date.parse(value) - Date.now();
	return Number.isNaN(wait) ? undefined : Math.min(RETRY_AFTER_MAX_MS, wait);
}

export function createAuthFetch(options: AuthFetchOptions) {
	let access: Access | null = null;
	let userId: string | null = null;
	let renewal: Promise<Access> | null = null;
	// How often forget() was called.
	let forgotten = 0;
	// How many requests wait.
	let waiting = 0;

	// Waits before attempt + 1: as long as the server asked for, otherwise
	// longer each time, and no longer than until the network is back.
	async function pause(attempt: number, askedMs?: number) {
		const wait = Math.max(WAIT_MIN_MS,
			askedMs ?? Math.min(WAIT_MAX_MS, WAIT_MIN_MS * 2 ** attempt));
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

	function reportArrival() {
		if (waiting === 0)
			options.onWaiting?.(null);
	}

	async function requestToken(): Promise<Access> {
		for (let attempt = 0; ; attempt++) {
			const before = forgotten;
			const { data, error } = await options.token()
				.catch(() => ({ data: null, error: { status: 0 } }));
			// A token that was requested before the sign-out must not be used.
			if (before !== forgotten)
				continue;
			if (data) {
				reportArrival();
				access = readToken(data.token);
				if (access.user.id !== userId) {
					userId = access.user.id;
					options.onUser(access.user);
				}
				return access;
			}
			access = null;
			if (error?.status === 401) {
				reportArrival();
				await options.signIn();
				attempt = -1;
			} else {
				await pause(attempt);
			}
		}
	}

	function renew(): Promise<Access> {
		renewal ??= requestToken().finally(() => { renewal = null; });
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

	// The token is sent to no other server.
	function ownUrl(path: string): URL {
		const url = new URL(path, location.href);
		if (url.origin !== location.origin)
			throw new TypeError("not an address of this server");
		return url;
	}

	return {
		// The user who is signed in. Waits for a sign-in if nobody is.
		async user(): Promise<User> {
			return (await current()).user;
		},

		// Like user(), but gets a new token first.
		async refresh(): Promise<User> {
			return (await renew()).user;
		},

		// Forgets the token, for signing out.
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
				if (response && !RETRIED_STATUSES.has(response.status)) {
					reportArrival();
					if (response.status !== 401 || renewed)
						return response;
					renewed = true;
					// Another request may have renewed the token already.
					if (access?.token === used.token)
						access = null;
				} else {
					await pause(attempt++, response ? retryAfterMs(response)
						: undefined);
					renewed = false;
				}
			}
		},

		// Sends a request that goes on after the page is closed. Its response
		// is ignored.
		fetchOnLeave(user: string, path: string, init: RequestInit = {}) {
			if (access?.user.id === user)
				request(access, ownUrl(path), { ...init, keepalive: true },
					undefined).catch(() => {});
		},
	};
}
